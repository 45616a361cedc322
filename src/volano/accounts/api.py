"""Accounts over HTTP: `/members`, `/keys`, `/invites`, `/sessions`, `/whoami`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from volano.accounts import service
from volano.accounts.authentication import COOKIE, PLAIN_COOKIE
from volano.core.context import Context
from volano.core.http import PUBLIC, Answer, Header, Routes
from volano.core.http.page import After, Limit
from volano.schemas import accounts as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import (
    CursorRefused,
    Id,
    IdempotencyKeyReused,
    Page,
    RoleTooLow,
)
from volano.schemas.errors import Missing

accounts = Routes("", tag="accounts")

Once = Annotated[
    Annotated[str, Meta(min_length=1, max_length=200)] | None, Header("idempotency-key")
]
"""These answers hold secrets, which the table of stored answers must not: see service._entropy."""


@accounts.get("/whoami", allow="whoami")
async def whoami(ctx: Context, who: Who) -> schemas.Caller:
    """Return the caller, as the server has verified it."""
    return await service.caller(ctx, who)


@accounts.get("/members", allow="settings", errors=(CursorRefused,))
async def list_members(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Member]:
    """List the members of the workspace in the order in which they were added."""
    return await service.list_members(ctx, who, after=after, limit=limit)


@accounts.post("/members", allow="settings", status=201, errors=(schemas.NameTaken,))
async def add_member(ctx: Context, who: Who, body: schemas.NewMember) -> schemas.Member:
    """Add a member; a key for it is made by `POST /keys`."""
    return await service.add_member(ctx, who, body)


@accounts.patch(
    "/members/{id}", allow="settings", errors=(Missing, schemas.LastAdmin, schemas.LastAdminKey)
)
async def change_member(
    ctx: Context, who: Who, id: Id, body: schemas.MemberChange
) -> schemas.Member:
    """Give a member another role."""
    return await service.change_role(ctx, who, id, body.role)


@accounts.get("/keys", allow="own-keys", errors=(CursorRefused,))
async def list_keys(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Key]:
    """List one's own keys, oldest first, without secrets; an admin sees those of all members."""
    return await service.list_keys(ctx, who, after=after, limit=limit)


@accounts.post(
    "/keys",
    allow="own-keys",
    status=201,
    natural=True,
    errors=(Missing, RoleTooLow, schemas.RoleAboveOwn, IdempotencyKeyReused),
)
async def create_key(
    ctx: Context, who: Who, body: schemas.NewKey, *, idempotency_key: Once = None
) -> schemas.Key:
    """Make a key; its secret is in this answer and never again. To rotate, make the new one first:
    both live until the old one is revoked."""
    return await service.create_key(ctx, who, body, once=idempotency_key)


@accounts.delete(
    "/keys/{id}", allow="own-keys", errors=(Missing, schemas.RoleAboveOwn, schemas.LastAdminKey)
)
async def revoke_key(ctx: Context, who: Who, id: Id) -> None:
    """Refuse a key from now on: all servers within seconds."""
    await service.revoke_key(ctx, who, id)


@accounts.get("/invites", allow="settings", errors=(CursorRefused,))
async def list_invites(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Invite]:
    """List the invitations of the workspace without their codes, oldest first."""
    return await service.list_invites(ctx, who, after=after, limit=limit)


@accounts.post(
    "/invites", allow="settings", status=201, natural=True, errors=(IdempotencyKeyReused,)
)
async def create_invite(
    ctx: Context, who: Who, body: schemas.NewInvite, *, idempotency_key: Once = None
) -> schemas.Invite:
    """Make an invitation to draw; its code is in this answer and never again."""
    return await service.create_invite(ctx, who, body, once=idempotency_key)


@accounts.delete("/invites/{id}", allow="settings", errors=(Missing,))
async def revoke_invite(ctx: Context, who: Who, id: Id) -> None:
    """Start no further session with this invitation; those that it started live on."""
    await service.revoke_invite(ctx, who, id)


@accounts.post("/sessions", allow=PUBLIC, status=201, natural=True, errors=(schemas.InviteRefused,))
async def start_session(
    ctx: Context,
    who: None,
    body: schemas.NewSession,
    *,
    origin: Annotated[str | None, Header("origin")] = None,
) -> Answer[schemas.Session]:
    """Start drawing as a new anonymous contributor. A page in a browser is given the token as a
    cookie alone, which scripts cannot read."""
    session = await service.start_session(ctx, body)
    if origin is None or session.token is None:
        return Answer(session)
    seconds = ctx.settings.session_days * 86_400
    cookie = _cookie(origin, session.token, seconds)
    return Answer(msgspec.structs.replace(session, token=None), headers={"set-cookie": cookie})


routes = (accounts,)


def _cookie(origin: str, token: str, seconds: int) -> str:
    """Return the session cookie for a browser that shows a page of this origin."""
    rest = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
    if origin.startswith("https://"):
        return f"{COOKIE}={token}; {rest}; Secure"
    return f"{PLAIN_COOKIE}={token}; {rest}"
