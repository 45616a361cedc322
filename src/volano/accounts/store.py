"""The tables of accounts. Every query but two is bound to one workspace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from volano.core.db import Instant, Tx, metadata
from volano.core.http.page import Keyset
from volano.schemas.accounts import Role, Workspace

Row = sa.Row[Any]

workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("name"),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("workspace", "name"),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("member", sa.String(64), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    # NULL: the key follows the role of its member.
    sa.Column("role", sa.String(16)),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
    # A key says who is calling, so it is found before the workspace is known.
    sa.Index("ix_keys_id", "id", unique=True),
)

invites = sa.Table(
    "invites",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.UniqueConstraint("workspace", "hash"),
)

server_secret = sa.Table(  # one row: by which name the pepper of all keys goes
    "server_secret",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("kid", sa.String(8), nullable=False),
)

MEMBERS = Keyset((members.c.id,))
KEYS = Keyset((keys.c.created_at, keys.c.id))
INVITES = Keyset((invites.c.id,))

_members_of_keys = sa.and_(members.c.workspace == keys.c.workspace, members.c.id == keys.c.member)


async def add_workspace(tx: Tx, id_: str, name: str, now: datetime) -> bool:
    """Add a workspace; return False where another one has the name."""
    row = {"name": name, "created_at": now}
    return await tx.run(tx.upsert(workspaces, keys=["name"]).values(row)) == 1


async def keep_kid(tx: Tx, kid: str, *, replace: bool) -> str:
    """Keep by which name the pepper of all keys goes, if none is kept; return the one kept."""
    new = tx.insert(server_secret)
    if replace:
        new = new.on_conflict_do_update(index_elements=["id"], set_={"kid": new.excluded.kid})
    else:
        new = new.on_conflict_do_nothing(index_elements=["id"])
    await tx.run(new, [{"id": 1, "kid": kid}])
    return str(await tx.scalar(tx.select(server_secret.c.kid)))


async def workspace_named(tx: Tx, name: str) -> Workspace | None:
    """Find the workspace with this name, of all that there are."""
    row = await tx.one(tx.select(workspaces).where(workspaces.c.name == name))
    return row and Workspace(id=row.workspace, name=row.name, created_at=row.created_at)


async def workspace_name(tx: Tx) -> str:
    """Return the name of the transaction's workspace."""
    return str(await tx.scalar(tx.select(workspaces.c.name)))


async def workspace_ids(tx: Tx) -> list[str]:
    """Return the ids of all workspaces that the transaction may see."""
    query = tx.select(workspaces.c.workspace).order_by(workspaces.c.workspace)
    return [row.workspace for row in await tx.all(query)]


async def add_member(tx: Tx, row: dict[str, Any]) -> bool:
    """Add a member; return False where the name is taken."""
    return await tx.run(tx.upsert(members, keys=["workspace", "name"]).values(row)) == 1


async def member(tx: Tx, id_: str) -> Row | None:
    """Return one member's row."""
    return await tx.one(tx.select(members).where(members.c.id == id_))


async def member_page(tx: Tx, after: str, limit: int) -> Sequence[Row]:
    """List members in the order of their ids, which is the order in which they were added."""
    return await tx.all(MEMBERS.slice(tx.select(members), after, limit))


async def locked_admins(tx: Tx) -> Sequence[str]:
    """Lock the admins until this transaction ends, and return their ids."""
    query = tx.select(members.c.id).where(members.c.role == "admin")
    rows = await tx.all(query.order_by(members.c.id).with_for_update())
    return [row.id for row in rows]


async def set_role(tx: Tx, member: str, role: Role) -> None:
    """Give the member this role from now on."""
    await tx.run(tx.update(members).where(members.c.id == member).values(role=role))


async def add_key(tx: Tx, row: dict[str, Any]) -> bool:
    """Add a key; return False where it is there already."""
    return await tx.run(tx.upsert(keys, keys=["workspace", "id"]).values(row)) == 1


async def key(tx: Tx, id_: str) -> Row | None:
    """Return a key's row with the `member_role`; of any workspace, where the tx is EVERYWHERE."""
    return await tx.one(_keys(tx).where(keys.c.id == id_))


async def key_page(tx: Tx, member: str | None, after: str, limit: int) -> Sequence[Row]:
    """List the keys of one member or of all, in the order in which they were made."""
    query = _keys(tx)
    if member is not None:
        query = query.where(keys.c.member == member)
    return await tx.all(KEYS.slice(query, after, limit))


async def has_admin_key(tx: Tx, now: datetime) -> bool:
    """Return whether anybody holds a live key with which they are an admin."""
    pinned = sa.or_(keys.c.role.is_(None), keys.c.role == "admin")
    live = (keys.c.revoked_at.is_(None), keys.c.expires_at > now)
    query = _keys(tx).where(members.c.role == "admin", pinned, *live)
    return await tx.one(query.limit(1)) is not None


async def revoke_key(tx: Tx, id_: str, now: datetime) -> None:
    """Refuse the key from now on; a second time changes nothing."""
    live = (keys.c.id == id_, keys.c.revoked_at.is_(None))
    await tx.run(tx.update(keys).where(*live).values(revoked_at=now))


async def add_invite(tx: Tx, row: dict[str, Any]) -> bool:
    """Add an invitation; return False where its code is there already."""
    return await tx.run(tx.upsert(invites, keys=["workspace", "hash"]).values(row)) == 1


async def invite(tx: Tx, hash_: bytes) -> Row | None:
    """Find the row of the invitation whose code has this hash."""
    return await tx.one(tx.select(invites).where(invites.c.hash == hash_))


async def invite_page(tx: Tx, after: str, limit: int) -> Sequence[Row]:
    """List invitations in the order of their ids, which is the order in which they were made."""
    return await tx.all(INVITES.slice(tx.select(invites), after, limit))


async def revoke_invite(tx: Tx, id_: str, now: datetime) -> bool:
    """Let an invitation start no session from now on; return False where there is none."""
    since = sa.func.coalesce(invites.c.revoked_at, sa.literal(now, Instant))
    return await tx.run(tx.update(invites).where(invites.c.id == id_).values(revoked_at=since)) == 1


def _keys(tx: Tx) -> sa.Select[Any]:
    columns = tx.select(keys, members.c.role.label("member_role"))
    return columns.join_from(keys, members, _members_of_keys)
