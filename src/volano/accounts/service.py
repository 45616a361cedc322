"""The verbs of accounts: workspaces, their members, keys and invitations, anonymous sessions."""

import secrets
import uuid
from datetime import timedelta

import msgspec

from volano.accounts import invites, keys, roles, rows, sessions, store
from volano.accounts.authentication import State, require
from volano.accounts.sessions import Ticket
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Tx
from volano.schemas import accounts as schemas
from volano.schemas.accounts import Role, Who
from volano.schemas.common import (
    IdempotencyKeyReused,
    Page,
    new_id,
    utc_now,
)
from volano.schemas.errors import Missing

FIRST_MEMBER = "admin"


async def workspaces(ctx: Context) -> list[str]:
    """Return the ids of all workspaces of this server: for its upkeep, not for a caller."""
    async with ctx.db.read(EVERYWHERE) as tx:
        return await store.workspace_ids(tx)


async def caller(ctx: Context, who: schemas.Who) -> schemas.Caller:
    """Return who is calling, with the name of the workspace."""
    async with ctx.db.read(who.workspace) as tx:
        name = await store.workspace_name(tx)
    return schemas.Caller(**msgspec.structs.asdict(who), workspace_name=name)


async def create_workspace(ctx: Context, name: str) -> tuple[schemas.Workspace, schemas.Key]:
    """Create a workspace, and the key of its first member, an admin.

    Raises: NameTaken.
    """
    workspace = schemas.Workspace(id=new_id("ws"), name=name, created_at=utc_now())
    async with ctx.db.begin(workspace.id) as tx:
        if not await store.add_workspace(tx, workspace.id, name, workspace.created_at):
            raise schemas.NameTaken(noun="workspace", name=name)
        admin = await _add_member(tx, schemas.NewMember(name=FIRST_MEMBER, role="admin"))
        key = await _add_key(ctx, tx, admin.id, schemas.NewKey(name="first"), _random())
    return workspace, key


async def check_secret(ctx: Context, *, new: bool = False) -> None:
    """Refuse to go on with another pepper than the first server of this database had.

    Keys that were made with one are wrong under another, so each such server would refuse all of
    them. With `new` the present pepper is the one from now on.

    Raises: SecretDiffers.
    """
    own = ctx.part(State).pepper.kid
    async with ctx.db.begin(EVERYWHERE) as tx:
        kept = await store.keep_kid(tx, own, replace=new)
    if kept != own:
        raise schemas.SecretDiffers(kept=kept, own=own)


async def bootstrap(ctx: Context, name: str) -> str | None:
    """Create a workspace and return its admin's key; None where it is there already.

    Of any number of servers that start together, one gets the key, and once it has it, it is
    durable. Who dies before showing it leaves no way in but `admin_key`.
    """
    try:
        _, key = await create_workspace(ctx, name)
    except schemas.NameTaken:
        return None
    return key.secret


async def admin_key(ctx: Context, name: str) -> schemas.Key:
    """Create another key for an admin: the host's way back in when all keys are lost.

    Raises: Missing.
    """
    workspace = await find_workspace(ctx, name)
    async with ctx.db.begin(workspace.id) as tx:
        admins = await store.locked_admins(tx)
        return await _add_key(ctx, tx, admins[0], schemas.NewKey(name="recovery"), _random())


async def find_workspace(ctx: Context, name: str) -> schemas.Workspace:
    """Return the workspace with this name.

    Raises: Missing.
    """
    async with ctx.db.read(EVERYWHERE) as tx:
        found = await store.workspace_named(tx, name)
    if found is None:
        raise Missing(noun="workspace", id=name)
    return found


async def add_member(ctx: Context, who: Who, new: schemas.NewMember) -> schemas.Member:
    """Add a member, without a key yet.

    Raises: NameTaken.
    """
    async with ctx.db.begin(who.workspace) as tx:
        return await _add_member(tx, new)


async def list_members(
    ctx: Context, who: Who, *, after: str = "", limit: int = 100
) -> Page[schemas.Member]:
    """List the members of the workspace in the order in which they were added.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        found = await store.member_page(tx, after, limit)
    return store.MEMBERS.page(found, limit, rows.member)


async def change_role(ctx: Context, who: Who, id_: str, role: Role) -> schemas.Member:
    """Give a member another role; its keys are looked at again at once.

    Raises: Missing, LastAdmin, LastAdminKey.
    """
    async with ctx.db.begin(who.workspace) as tx:
        admins = await store.locked_admins(tx)
        member = await _found_member(tx, id_)
        if admins == [id_] and role != "admin":
            raise schemas.LastAdmin(member=member.name)
        await store.set_role(tx, id_, role)
        if id_ in admins:
            await _require_admin_key(tx)
        tx.after_commit(lambda: ctx.part(State).key_cache.forget(member=id_))
        return await _found_member(tx, id_)


async def _add_member(tx: Tx, new: schemas.NewMember) -> schemas.Member:
    member = schemas.Member(id=new_id("mem"), name=new.name, role=new.role, created_at=utc_now())
    row = {"id": member.id, "name": new.name, "role": new.role, "created_at": member.created_at}
    if not await store.add_member(tx, row):
        raise schemas.NameTaken(noun="member", name=new.name)
    return member


async def _found_member(tx: Tx, id_: str) -> schemas.Member:
    row = await store.member(tx, id_)
    if row is None:
        raise Missing(noun="member", id=id_)
    return rows.member(row)


async def create_key(
    ctx: Context, who: Who, new: schemas.NewKey, *, once: str | None = None
) -> schemas.Key:
    """Create a key with its secret, for oneself or, by an admin, for another member.

    `once` is an Idempotency-Key: the second time the answer is the first one's.
    Raises: Missing (no such member), RoleTooLow, RoleAboveOwn, IdempotencyKeyReused.
    """
    member_id = new.member or who.member
    if member_id != who.member:
        require(who, "settings")
    async with ctx.db.begin(who.workspace) as tx:
        member = await _found_member(tx, member_id)
        role = roles.grant(new.role, member=member.role, own=who.role)
        given = schemas.NewKey(name=new.name, role=role, days=new.days)
        key = await _add_key(ctx, tx, member.id, given, _entropy(ctx, who, "key", once))
    asked = (member.id, new.name, role or member.role, new.days)
    if (key.member, key.name, key.role, rows.days(key)) != asked:
        raise IdempotencyKeyReused(key=once)
    return key


async def list_keys(
    ctx: Context, who: Who, *, after: str = "", limit: int = 100
) -> Page[schemas.Key]:
    """List one's own keys, oldest first, without secrets; an admin sees those of all members.

    Raises: CursorRefused.
    """
    member = None if who.may("settings") else who.member
    async with ctx.db.read(who.workspace) as tx:
        found = await store.key_page(tx, member, after, limit)
    return store.KEYS.page(found, limit, rows.key)


async def revoke_key(ctx: Context, who: Who, id_: str) -> None:
    """Refuse the key from now on: here at once, elsewhere within `key_cache_s`.

    Raises: Missing (also for another member's key, unless by an admin), RoleAboveOwn,
    LastAdminKey.
    """
    async with ctx.db.begin(who.workspace) as tx:
        await store.locked_admins(tx)  # of two who revoke each other's key one is refused
        row = await store.key(tx, id_)
        if row is None or not (row.member == who.member or who.may("settings")):
            raise Missing(noun="key", id=id_)
        if not roles.within(rows.key(row).role, who.role):
            raise schemas.RoleAboveOwn(role=rows.key(row).role, own=who.role)
        await store.revoke_key(tx, id_, utc_now())
        if rows.role(row) == "admin":
            await _require_admin_key(tx)
        tx.after_commit(lambda: ctx.part(State).key_cache.forget(key=id_))


async def _require_admin_key(tx: Tx) -> None:
    """Refuse to leave a workspace that only its host could administer: see `admin_key`.

    Raises: LastAdminKey.
    """
    if not await store.has_admin_key(tx, utc_now()):
        raise schemas.LastAdminKey


async def _add_key(
    ctx: Context, tx: Tx, member: str, new: schemas.NewKey, entropy: bytes
) -> schemas.Key:
    text = keys.mint(entropy)
    parts = keys.parse(text)
    assert parts is not None
    now = utc_now()
    row = {
        "id": parts.id,
        "member": member,
        "name": new.name,
        "role": new.role,
        "hash": keys.stored(ctx.part(State).pepper, parts),
        "created_at": now,
        "expires_at": now + timedelta(days=new.days),
    }
    await store.add_key(tx, row)
    kept = await store.key(tx, parts.id)
    assert kept is not None
    return rows.key(kept, secret=text)


async def create_invite(
    ctx: Context, who: Who, new: schemas.NewInvite, *, once: str | None = None
) -> schemas.Invite:
    """Create an invitation with its code; `once` is an Idempotency-Key, as for `create_key`.

    Raises: IdempotencyKeyReused.
    """
    code = invites.mint(who.workspace, _entropy(ctx, who, "invite", once))
    digest = invites.stored(ctx.part(State).pepper, code)
    now = utc_now()
    expiry = now + timedelta(days=new.days)
    row = {"id": new_id("inv"), "hash": digest, "created_at": now, "expires_at": expiry}
    async with ctx.db.begin(who.workspace) as tx:
        await store.add_invite(tx, row)
        kept = await store.invite(tx, digest)
    assert kept is not None
    invite = rows.invite(kept, code=code)
    if rows.days(invite) != new.days:
        raise IdempotencyKeyReused(key=once)
    return invite


async def list_invites(
    ctx: Context, who: Who, *, after: str = "", limit: int = 100
) -> Page[schemas.Invite]:
    """List the invitations of the workspace, without their codes, oldest first.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        found = await store.invite_page(tx, after, limit)
    return store.INVITES.page(found, limit, rows.invite)


async def revoke_invite(ctx: Context, who: Who, id_: str) -> None:
    """Let the invitation start no further session.

    Raises: Missing.
    """
    async with ctx.db.begin(who.workspace) as tx:
        if not await store.revoke_invite(tx, id_, utc_now()):
            raise Missing(noun="invitation", id=id_)


async def start_session(ctx: Context, new: schemas.NewSession) -> schemas.Session:
    """Start a session of a new contributor where it was invited; nothing is stored of it.

    Raises: InviteRefused (mistyped, unknown, expired or revoked).
    """
    workspace = invites.workspace(new.invite)
    if workspace is None:
        raise schemas.InviteRefused
    pepper, now = ctx.part(State).pepper, utc_now()
    async with ctx.db.read(workspace) as tx:
        row = await store.invite(tx, invites.stored(pepper, new.invite))
    if row is None or not rows.is_live(row, now):
        raise schemas.InviteRefused
    lasts = timedelta(days=ctx.settings.session_days)
    # Not a UUIDv7: that would tell when an anonymous person came.
    ticket = Ticket(workspace, str(uuid.uuid4()), now.replace(microsecond=0) + lasts)
    token = sessions.sign(pepper, ticket)
    return schemas.Session(
        token=token,
        contributor=ticket.contributor,
        workspace=workspace,
        expires_at=ticket.expires_at,
    )


def _entropy(ctx: Context, who: Who, noun: str, once: str | None) -> bytes:
    """Return 64 random bytes; with an Idempotency-Key the same ones each time.

    Derived, so that a repeated request is given the same secret though nobody has kept it.
    """
    if once is None:
        return _random()
    pepper, asked = ctx.part(State).pepper, f"{who.workspace}\0{who.member}\0{once}"
    return pepper.mac(f"new-{noun}-1", asked) + pepper.mac(f"new-{noun}-2", asked)


def _random() -> bytes:
    return secrets.token_bytes(64)
