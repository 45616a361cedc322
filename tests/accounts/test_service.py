"""Members, keys, invitations and sessions over a real database."""

import asyncio
import string
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.accounts.conftest import Hire, context
from volano.accounts import keys, service, store
from volano.accounts.authentication import KeyCache, State, identify, require
from volano.accounts.roles import ROLES
from volano.accounts.secrets import Pepper
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Database
from volano.schemas.accounts import (
    InviteRefused,
    KeyRefused,
    LastAdmin,
    LastAdminKey,
    NameTaken,
    NewInvite,
    NewKey,
    NewMember,
    NewSession,
    Role,
    RoleAboveOwn,
    SecretDiffers,
    Who,
)
from volano.schemas.common import IdempotencyKeyReused, RoleTooLow, utc_now
from volano.schemas.errors import Missing


def number(digits: str) -> int:
    """What `keys.base62` wrote."""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    return sum(alphabet.index(d) * 62**place for place, d in enumerate(reversed(digits)))


async def outcomes(*verbs: Awaitable[Any]) -> list[Any]:
    """What each of these verbs, started together, returned or raised."""
    return await asyncio.gather(*verbs, return_exceptions=True)


def without_database(ctx: Context) -> Context:
    """The same process, in which whatever asks the database fails."""
    gone: Any = None
    return replace(ctx, db=gone)


async def expire(db: Database, table: sa.Table) -> None:
    """Everything in this table has expired a moment ago."""
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(tx.update(table).values(expires_at=utc_now() - timedelta(milliseconds=1)))


async def all_rows(db: Database) -> str:
    """Everything that the tables of accounts hold, as text."""
    async with db.read(EVERYWHERE) as tx:
        tables = (store.workspaces, store.members, store.keys, store.invites)
        return "".join([str(await tx.all(tx.select(table))) for table in tables])


async def test_a_workspace_is_made_with_an_admin_whose_key_works(ctx: Context) -> None:
    workspace, key = await service.create_workspace(ctx, "home")
    assert key.secret is not None

    who = await identify(ctx, key.secret)

    assert who.workspace == workspace.id
    assert who.role == "admin"
    assert who.member == key.member
    assert who.key == key.id


async def test_the_name_of_a_workspace_is_taken_once(ctx: Context, admin: Who) -> None:
    with pytest.raises(NameTaken):
        await service.create_workspace(ctx, "home")

    assert admin.workspace == (await service.find_workspace(ctx, "home")).id


async def test_of_servers_that_start_together_one_is_given_the_key(db: Database) -> None:
    servers = [context(db) for _ in range(8)]

    secrets = await outcomes(*(service.bootstrap(ctx, "home") for ctx in servers))

    (secret,) = [s for s in secrets if s is not None]
    assert (await identify(servers[0], secret)).role == "admin"


def elsewhere(ctx: Context) -> Context:
    """A server on another machine, which has made a secret of its own."""
    return replace(ctx, parts={State: State(Pepper(b"of another machine"), KeyCache(5.0))})


async def test_a_server_with_another_secret_does_not_start(ctx: Context) -> None:
    other = elsewhere(ctx)
    await service.check_secret(ctx)
    await service.check_secret(ctx)

    with pytest.raises(SecretDiffers) as refused:
        await service.check_secret(other)

    assert refused.value.facts["kept"] == ctx.part(State).pepper.kid
    assert refused.value.facts["own"] == other.part(State).pepper.kid
    assert "VOLANO_SECRET" in refused.value.advice


async def test_the_owner_of_a_server_may_begin_anew_with_another_secret(ctx: Context) -> None:
    other = elsewhere(ctx)
    await service.check_secret(ctx)

    await service.check_secret(other, new=True)

    await service.check_secret(other)
    with pytest.raises(SecretDiffers):
        await service.check_secret(ctx)


async def test_of_servers_with_two_secrets_that_start_together_one_kind_starts(
    ctx: Context,
) -> None:
    other = elsewhere(ctx)
    ends = await asyncio.gather(
        *(service.check_secret(one) for one in (ctx, other) * 4), return_exceptions=True
    )

    assert sum(isinstance(end, SecretDiffers) for end in ends) == 4
    assert ends.count(None) == 4


async def test_a_second_bootstrap_changes_nothing(ctx: Context, admin: Who) -> None:
    before = await all_rows(ctx.db)

    assert await service.bootstrap(ctx, "home") is None

    assert await all_rows(ctx.db) == before


async def test_the_host_can_make_another_admin_key(ctx: Context, admin: Who) -> None:
    key = await service.admin_key(ctx, "home")
    assert key.secret is not None

    assert admin.member == (await identify(ctx, key.secret)).member
    with pytest.raises(Missing):
        await service.admin_key(ctx, "nowhere")


@pytest.mark.parametrize("role", ROLES)
async def test_a_member_is_recognised_with_its_role(ctx: Context, hire: Hire, role: Role) -> None:
    who = await hire(role)

    assert (role, who.member) == (who.role, who.contributor)


async def test_a_key_that_was_just_verified_needs_no_database(
    ctx: Context, admin_secret: str
) -> None:
    admin = await identify(ctx, admin_secret)

    assert await identify(without_database(ctx), admin_secret) == admin


async def test_who_come_together_share_one_look_up(ctx: Context, admin_secret: str) -> None:
    asking = [asyncio.create_task(identify(ctx, admin_secret)) for _ in range(20)]
    await asyncio.sleep(0)
    assert len(ctx.part(State).key_cache.running) == 1
    asking[0].cancel()  # it leaves the look-up to the others
    first, *others = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert {one.role for one in others if isinstance(one, Who)} == {"admin"}
    assert len(others) == 19
    assert ctx.part(State).key_cache.running == {}


async def test_who_comes_after_a_revocation_looks_for_itself(
    ctx: Context, admin_secret: str
) -> None:
    early = asyncio.create_task(identify(ctx, admin_secret))
    await asyncio.sleep(0)
    ctx.part(State).key_cache.forget(key="any")
    late = asyncio.create_task(identify(ctx, admin_secret))
    await asyncio.sleep(0)
    assert len(ctx.part(State).key_cache.running) == 2
    assert await early == await late


async def test_a_mistyped_key_is_refused_without_the_database(ctx: Context) -> None:
    text = keys.mint(bytes(64))

    with pytest.raises(KeyRefused):
        await identify(without_database(ctx), text[:-1] + "~")


async def test_unknown_wrong_revoked_and_expired_keys_get_one_answer(
    ctx: Context, admin: Who, admin_secret: str
) -> None:
    revoked = await service.create_key(ctx, admin, NewKey())
    await service.revoke_key(ctx, admin, revoked.id)
    prefix, id_, secret, _ = admin_secret.split("_")
    wrong = keys.sealed(f"{prefix}_{id_}_{secret[::-1]}")
    expired = (await service.create_key(ctx, admin, NewKey())).secret
    await expire(ctx.db, store.keys)

    refused = await outcomes(
        *(
            identify(ctx, str(text))
            for text in (keys.mint(bytes(64)), wrong, revoked.secret, expired, "nonsense")
        )
    )

    assert [KeyRefused] * 5 == [type(error) for error in refused]
    assert len({repr(error.problem()) for error in refused}) == 1


async def test_a_cached_key_does_not_let_a_wrong_secret_in(ctx: Context, admin_secret: str) -> None:
    await identify(ctx, admin_secret)
    prefix, id_, secret, _ = admin_secret.split("_")

    with pytest.raises(KeyRefused):
        await identify(ctx, keys.sealed(f"{prefix}_{id_}_{secret[::-1]}"))


async def test_a_key_is_not_trusted_beyond_its_expiry(ctx: Context, admin: Who) -> None:
    key = await service.create_key(ctx, admin, NewKey())
    soon = utc_now() + timedelta(milliseconds=300)
    async with ctx.db.begin(admin.workspace) as tx:
        await tx.run(tx.update(store.keys).where(store.keys.c.id == key.id).values(expires_at=soon))
    assert key.id == (await identify(ctx, str(key.secret))).key

    while utc_now() < soon:
        await asyncio.sleep(0.05)

    with pytest.raises(KeyRefused):
        await identify(ctx, str(key.secret))


async def test_a_stolen_database_makes_no_key(ctx: Context, admin_secret: str) -> None:
    guessing = replace(ctx.part(State), pepper=Pepper(b"guessed"))
    thief = replace(ctx, parts={State: guessing})

    with pytest.raises(KeyRefused):
        await identify(thief, admin_secret)


async def test_no_secret_is_stored(ctx: Context, admin: Who, admin_secret: str) -> None:
    invite = await service.create_invite(ctx, admin, NewInvite())

    stored = await all_rows(ctx.db)

    assert admin_secret.split("_")[2] not in stored
    assert str(invite.code).split("_")[2] not in stored


async def test_members_are_listed_in_pages(ctx: Context, admin: Who) -> None:
    for name in ("ada", "bob", "cyd"):
        await service.add_member(ctx, admin, NewMember(name=name, role="annotator"))

    first = await service.list_members(ctx, admin, after="", limit=3)
    second = await service.list_members(ctx, admin, after=first.next or "", limit=3)

    assert [m.name for m in first.items + second.items] == ["admin", "ada", "bob", "cyd"]
    assert second.next is None


async def test_the_name_of_a_member_is_taken_once_in_a_workspace(
    ctx: Context, admin: Who, stranger: Who
) -> None:
    ada = NewMember(name="ada", role="annotator")
    await service.add_member(ctx, admin, ada)

    with pytest.raises(NameTaken):
        await service.add_member(ctx, admin, ada)
    assert (await service.add_member(ctx, stranger, ada)).name == "ada"


async def test_a_promotion_reaches_the_keys_that_follow_the_member(
    ctx: Context, admin: Who, hire: Hire
) -> None:
    who = await hire("annotator")
    key = await service.create_key(ctx, admin, NewKey(member=who.member))
    pinned = await service.create_key(ctx, admin, NewKey(member=who.member, role="annotator"))
    await identify(ctx, str(key.secret))

    await service.change_role(ctx, admin, who.member, "reviewer")

    assert (await identify(ctx, str(key.secret))).role == "reviewer"
    assert (await identify(ctx, str(pinned.secret))).role == "annotator"


async def test_a_demotion_lowers_every_key_of_the_member_at_once(
    ctx: Context, admin: Who, hire: Hire
) -> None:
    who = await hire("reviewer")
    key = await service.create_key(ctx, admin, NewKey(member=who.member, role="reviewer"))
    await identify(ctx, str(key.secret))

    await service.change_role(ctx, admin, who.member, "annotator")

    assert (await identify(ctx, str(key.secret))).role == "annotator"


async def test_a_pinned_key_dies_when_its_member_gets_an_unrelated_role(
    ctx: Context, admin: Who, hire: Hire
) -> None:
    who = await hire("developer")
    key = await service.create_key(ctx, admin, NewKey(member=who.member, role="developer"))

    await service.change_role(ctx, admin, who.member, "reviewer")

    with pytest.raises(KeyRefused):
        await identify(ctx, str(key.secret))


async def test_the_last_admin_stays(ctx: Context, admin: Who) -> None:
    with pytest.raises(LastAdmin):
        await service.change_role(ctx, admin, admin.member, "developer")

    assert (await service.change_role(ctx, admin, admin.member, "admin")).role == "admin"


async def test_two_admins_who_demote_each_other_at_once_leave_one(
    ctx: Context, admin: Who, other_process: Context, hire: Hire
) -> None:
    second = await hire("admin")

    results = await outcomes(
        service.change_role(ctx, admin, second.member, "developer"),
        service.change_role(other_process, second, admin.member, "developer"),
    )

    assert sum(isinstance(result, LastAdmin) for result in results) == 1
    listed = await service.list_members(ctx, admin)
    assert sorted(m.role for m in listed.items) == ["admin", "developer"]


async def test_a_member_of_another_workspace_is_not_there(
    ctx: Context, admin: Who, stranger: Who
) -> None:
    with pytest.raises(Missing):
        await service.change_role(ctx, admin, stranger.member, "annotator")
    with pytest.raises(Missing):
        await service.create_key(ctx, admin, NewKey(member=stranger.member))


async def test_keys_are_listed_in_pages_as_they_were_made(ctx: Context, admin: Who) -> None:
    made = [admin.key, *[(await service.create_key(ctx, admin, NewKey())).id for _ in range(4)]]

    first = await service.list_keys(ctx, admin, limit=3)
    second = await service.list_keys(ctx, admin, after=first.next or "", limit=3)

    listed = [key for page in (first, second) for key in page.items]
    assert sorted(made) == sorted(key.id for key in listed)
    assert [key.created_at for key in listed] == sorted(key.created_at for key in listed)
    assert second.next is None


async def test_the_last_admin_key_stays(ctx: Context, admin: Who) -> None:
    narrow = await service.create_key(ctx, admin, NewKey(role="developer"))
    with pytest.raises(LastAdminKey):
        await service.revoke_key(ctx, admin, admin.key)
    await service.revoke_key(ctx, admin, narrow.id)

    other = await service.create_key(ctx, admin, NewKey())
    await service.revoke_key(ctx, admin, admin.key)

    assert (await identify(ctx, str(other.secret))).role == "admin"


async def test_two_admins_who_revoke_each_others_key_at_once_leave_one(
    ctx: Context, admin: Who
) -> None:
    other = await service.create_key(ctx, admin, NewKey())

    done = await outcomes(
        service.revoke_key(ctx, admin, admin.key), service.revoke_key(ctx, admin, other.id)
    )

    assert sum(isinstance(one, LastAdminKey) for one in done) == 1


async def test_an_expired_key_is_nobody_s_last_way_in(ctx: Context, admin: Who) -> None:
    await expire(ctx.db, store.keys)
    live = await service.create_key(ctx, admin, NewKey())

    with pytest.raises(LastAdminKey):
        await service.revoke_key(ctx, admin, live.id)


async def test_an_admin_without_a_key_does_not_count(ctx: Context, admin: Who) -> None:
    await service.add_member(ctx, admin, NewMember(name="Ada", role="admin"))

    with pytest.raises(LastAdminKey):
        await service.change_role(ctx, admin, admin.member, "developer")

    key = (await service.list_keys(ctx, admin)).items[0]
    assert (key.role, key.revoked_at) == ("admin", None)


async def test_to_rotate_a_key_both_live_until_the_old_one_is_revoked(
    ctx: Context, admin: Who, admin_secret: str
) -> None:
    new = await service.create_key(ctx, admin, NewKey(name="new"))
    assert admin.member == (await identify(ctx, admin_secret)).member
    assert admin.member == (await identify(ctx, str(new.secret))).member

    await service.revoke_key(ctx, admin, admin.key)

    with pytest.raises(KeyRefused):
        await identify(ctx, admin_secret)
    assert admin.member == (await identify(ctx, str(new.secret))).member


async def test_another_process_refuses_a_revoked_key_when_it_looks_again(
    ctx: Context, admin: Who, admin_secret: str, other_process: Context
) -> None:
    assert await identify(other_process, admin_secret) == admin
    await service.create_key(ctx, admin, NewKey())

    await service.revoke_key(ctx, admin, admin.key)

    with pytest.raises(KeyRefused):
        await identify(other_process, admin_secret)


async def test_revoking_twice_keeps_the_first_moment(ctx: Context, admin: Who) -> None:
    await service.create_key(ctx, admin, NewKey())
    await service.revoke_key(ctx, admin, admin.key)
    once = await service.list_keys(ctx, admin)

    await service.revoke_key(ctx, admin, admin.key)

    assert await service.list_keys(ctx, admin) == once
    assert once.items[0].revoked_at is not None


async def test_a_key_may_be_narrower_than_its_member_but_never_wider(
    ctx: Context, hire: Hire
) -> None:
    developer = await hire("developer")

    narrow = await service.create_key(ctx, developer, NewKey(role="contributor"))

    assert (await identify(ctx, str(narrow.secret))).role == "contributor"
    for role in ("admin", "reviewer", "auditor"):
        with pytest.raises(RoleAboveOwn):
            await service.create_key(ctx, developer, NewKey(role=role))


async def test_a_narrow_key_makes_no_wider_one_and_revokes_none(ctx: Context, admin: Who) -> None:
    key = await service.create_key(ctx, admin, NewKey(role="developer"))
    narrow = await identify(ctx, str(key.secret))

    assert (await service.create_key(ctx, narrow, NewKey())).role == "developer"
    with pytest.raises(RoleAboveOwn):
        await service.create_key(ctx, narrow, NewKey(role="admin"))
    with pytest.raises(RoleAboveOwn):
        await service.revoke_key(ctx, narrow, admin.key)


async def test_only_an_admin_sees_makes_and_revokes_the_keys_of_others(
    ctx: Context, admin: Who, hire: Hire
) -> None:
    developer = await hire("developer")

    assert {developer.key} == {k.id for k in (await service.list_keys(ctx, developer)).items}
    assert {admin.key, developer.key} == {k.id for k in (await service.list_keys(ctx, admin)).items}
    with pytest.raises(RoleTooLow):
        await service.create_key(ctx, developer, NewKey(member=admin.member))
    with pytest.raises(Missing):
        await service.revoke_key(ctx, developer, admin.key)
    await service.revoke_key(ctx, admin, developer.key)


async def test_a_key_of_another_workspace_is_not_there(
    ctx: Context, admin: Who, stranger: Who
) -> None:
    with pytest.raises(Missing):
        await service.revoke_key(ctx, admin, stranger.key)

    assert [admin.key] == [k.id for k in (await service.list_keys(ctx, admin)).items]


async def test_listed_keys_have_no_secret(ctx: Context, admin: Who) -> None:
    assert [k.secret for k in (await service.list_keys(ctx, admin)).items] == [None]


async def test_the_same_idempotency_key_gives_the_same_key(ctx: Context, admin: Who) -> None:
    answers = await outcomes(
        *(service.create_key(ctx, admin, NewKey(name="ci"), once="once") for _ in range(4))
    )

    assert [answers[0]] * 4 == answers
    assert len((await service.list_keys(ctx, admin)).items) == 2
    for other in (NewKey(name="cd"), NewKey(name="ci", days=1), NewKey(name="ci", role="auditor")):
        with pytest.raises(IdempotencyKeyReused):
            await service.create_key(ctx, admin, other, once="once")


async def test_an_idempotency_key_belongs_to_its_member(
    ctx: Context, admin: Who, hire: Hire
) -> None:
    developer = await hire("developer")

    mine, theirs, again = [
        await service.create_key(ctx, who, NewKey(), once="1") for who in (admin, developer, admin)
    ]

    assert again == mine
    assert (await identify(ctx, str(mine.secret))).member == admin.member
    assert (await identify(ctx, str(theirs.secret))).member == developer.member


async def test_who_is_invited_draws_in_the_workspace_that_invited(ctx: Context, admin: Who) -> None:
    invite = await service.create_invite(ctx, admin, NewInvite())

    session = await service.start_session(ctx, NewSession(invite=str(invite.code)))

    assert await identify(ctx, session.token) == Who(
        workspace=admin.workspace, role="contributor", contributor=session.contributor
    )


async def test_every_session_is_another_contributor(ctx: Context, admin: Who) -> None:
    code = str((await service.create_invite(ctx, admin, NewInvite())).code)

    one, other = [await service.start_session(ctx, NewSession(invite=code)) for _ in range(2)]

    assert one.contributor != other.contributor


async def test_a_session_lasts_as_many_days_as_the_server_says(ctx: Context, admin: Who) -> None:
    code = str((await service.create_invite(ctx, admin, NewInvite())).code)
    before = utc_now()

    session = await service.start_session(ctx, NewSession(invite=code))

    assert ctx.settings.session_days == 30
    lasts = session.expires_at - before
    assert timedelta(days=30, seconds=-1) <= lasts < timedelta(days=30, minutes=1)


async def test_a_session_needs_no_row_and_no_database(ctx: Context, admin: Who) -> None:
    code = str((await service.create_invite(ctx, admin, NewInvite())).code)
    before = await all_rows(ctx.db)

    session = await service.start_session(ctx, NewSession(invite=code))

    assert await all_rows(ctx.db) == before
    who = await identify(without_database(ctx), session.token)
    assert session.contributor == who.contributor


async def test_a_session_may_only_draw(ctx: Context, admin: Who) -> None:
    code = str((await service.create_invite(ctx, admin, NewInvite())).code)
    who = await identify(ctx, (await service.start_session(ctx, NewSession(invite=code))).token)

    require(who, "draw")
    with pytest.raises(RoleTooLow) as refused:
        require(who, "label")
    assert refused.value.facts["roles"] == "admin, annotator, reviewer"


async def test_a_forged_session_is_refused(ctx: Context, admin: Who) -> None:
    code = str((await service.create_invite(ctx, admin, NewInvite())).code)
    token = (await service.start_session(ctx, NewSession(invite=code))).token

    for forged in (token[:-1], token.replace(admin.workspace, "ws_" + "0" * 32), "v1.", "v1.é"):
        with pytest.raises(KeyRefused):
            await identify(ctx, forged)


async def test_unknown_revoked_and_expired_invitations_get_one_answer(
    ctx: Context, admin: Who
) -> None:
    revoked = await service.create_invite(ctx, admin, NewInvite())
    await service.revoke_invite(ctx, admin, revoked.id)
    expired = await service.create_invite(ctx, admin, NewInvite())
    await expire(ctx.db, store.invites)

    refused = await outcomes(
        *(
            service.start_session(ctx, NewSession(invite=str(code)))
            for code in (revoked.code, expired.code, "inv_1", str(revoked.code)[:-1])
        )
    )

    assert [InviteRefused] * 4 == [type(error) for error in refused]
    assert len({repr(error.problem()) for error in refused}) == 1


async def test_invitations_are_listed_without_their_codes(ctx: Context, admin: Who) -> None:
    made = [await service.create_invite(ctx, admin, NewInvite(days=d)) for d in (1, 2)]

    listed = (await service.list_invites(ctx, admin)).items

    assert [m.id for m in made] == [i.id for i in listed]
    assert [i.code for i in listed] == [None, None]


async def test_an_invitation_of_another_workspace_is_not_there(
    ctx: Context, admin: Who, stranger: Who
) -> None:
    theirs = await service.create_invite(ctx, stranger, NewInvite())

    with pytest.raises(Missing):
        await service.revoke_invite(ctx, admin, theirs.id)

    assert (await service.list_invites(ctx, admin)).items == []
    assert await service.start_session(ctx, NewSession(invite=str(theirs.code)))


async def test_the_same_idempotency_key_gives_the_same_invitation(ctx: Context, admin: Who) -> None:
    first = await service.create_invite(ctx, admin, NewInvite(), once="1")

    assert await service.create_invite(ctx, admin, NewInvite(), once="1") == first
    with pytest.raises(IdempotencyKeyReused):
        await service.create_invite(ctx, admin, NewInvite(days=2), once="1")


async def test_an_invitation_tells_nothing_about_a_key_made_with_the_same_idempotency_key(
    ctx: Context, admin: Who
) -> None:
    key = keys.parse(str((await service.create_key(ctx, admin, NewKey(), once="1")).secret))
    code = str((await service.create_invite(ctx, admin, NewInvite(), once="1")).code)
    assert key is not None

    assert key.id[4:] != keys.base62(number(code.split("_")[2]).to_bytes(16, "big")[:8], 12)
