"""Who is calling: a request's key, token or cookie becomes a `Who`, seldom by the database."""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3
from starlette.requests import cookie_parser

from volano.accounts import keys, roles, rows, sessions, store
from volano.accounts.secrets import Pepper, pepper
from volano.core.context import Context
from volano.core.db import EVERYWHERE
from volano.core.settings import Settings
from volano.schemas.accounts import PERMISSIONS, KeyRefused, Permission, Who
from volano.schemas.common import NotAuthenticated, RoleTooLow, utc_now

COOKIE = "__Host-volano"
"""Browsers take this name only over TLS, for this very host and all of its paths."""

PLAIN_COOKIE = "volano"
"""For a server without TLS: development on one machine."""

MOST = 10_000
"""Keys remembered at once; the least recently used go first."""

_NO_HASH = bytes(32)
"""Compared with where there is no key: an unknown id costs what a wrong secret costs."""


class _Verified(NamedTuple):
    who: Who
    until: float


class KeyCache:
    """A bounded memory of keys that were verified a moment ago; a warm request asks no database.

    A key is found by a keyed hash of its whole text: not by its id, so that a wrong secret takes
    the way of an unknown id, and so that no secret stays in memory; nor by the stored hash, which
    takes far longer. `now` is any clock in seconds, the same one for all calls.
    """

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self.seconds = seconds
        self.most = most
        self.revocations = 0
        """Goes up with every `forget`; see `keep`."""
        self.running: dict[tuple[bytes, int], asyncio.Task[Who]] = {}
        """Look-ups under way, by hash and the `revocations` at their start."""
        self._secret = secrets.token_bytes(32)
        self._by_hash: OrderedDict[bytes, _Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_hash)

    def mark(self, credential: str) -> bytes:
        """Return the hash by which this memory knows a key; no other memory knows it by that."""
        return blake3(credential.encode(errors="surrogatepass"), key=self._secret).digest()

    def find(self, digest: bytes, now: float) -> Who | None:
        """Return whose key has this hash, if that was verified less than `seconds` ago."""
        verified = self._by_hash.get(digest)
        if verified is None:
            return None
        if verified.until <= now:
            del self._by_hash[digest]
            return None
        self._by_hash.move_to_end(digest)
        return verified.who

    def keep(self, digest: bytes, who: Who, *, until: float, revocations: int) -> None:
        """Remember a key that was verified; at most `until`, however long `seconds` are.

        `revocations` is the counter from before the look-up: if it has moved, the row that was
        read may be from before a revocation, and remembering it would bring the key back.
        """
        if revocations != self.revocations:
            return
        self._by_hash[digest] = _Verified(who, until)
        self._by_hash.move_to_end(digest)
        if len(self._by_hash) > self.most:
            self._by_hash.popitem(last=False)

    def forget(self, *, key: str = "", member: str = "") -> None:
        """Look again at the next request with this key, or with any key of this member."""
        self.revocations += 1
        stale = [
            digest
            for digest, (who, _) in self._by_hash.items()
            if who.key == key or (member and who.member == member)
        ]
        for digest in stale:
            del self._by_hash[digest]


@dataclass(frozen=True, slots=True)
class State:
    """What one process keeps for accounts."""

    pepper: Pepper
    key_cache: KeyCache


def open_state(settings: Settings) -> State:
    """Return the state of a process that has verified nobody yet.

    Raises: BadSecret.
    """
    return State(pepper(settings), KeyCache(settings.key_cache_s))


async def authorise(ctx: Context, headers: Mapping[bytes, bytes], permission: Permission) -> Who:
    """Return who is calling, if they may: core/http asks before every operation not public.

    Raises: NotAuthenticated, KeyRefused, RoleTooLow.
    """
    if authorization := headers.get(b"authorization"):
        scheme, _, credential = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated
        who = await identify(ctx, credential.strip())
    else:
        cookies = cookie_parser(headers.get(b"cookie", b"").decode("latin-1"))
        token = cookies.get(COOKIE) or cookies.get(PLAIN_COOKIE, "")
        if not token.startswith(sessions.PREFIX):
            raise NotAuthenticated
        who = await identify(ctx, token)
    require(who, permission)
    return who


async def identify(ctx: Context, credential: str) -> Who:
    """Return whose key or session token this is.

    Raises: KeyRefused (mistyped, unknown, expired or revoked: the answer does not say which).
    """
    if credential.startswith(sessions.PREFIX):
        ticket = sessions.verify(ctx.part(State).pepper, credential, utc_now())
        if ticket is None:
            raise KeyRefused
        return Who(workspace=ticket.workspace, role="contributor", contributor=ticket.contributor)
    key_cache = ctx.part(State).key_cache
    mark = key_cache.mark(credential)
    known = key_cache.find(mark, time.monotonic())
    return known or await _look_up(ctx, credential, mark)


def require(who: Who, permission: Permission) -> None:
    """Refuse a caller whose role does not have the permission.

    Raises: RoleTooLow.
    """
    if who.role not in PERMISSIONS[permission]:
        allowed = ", ".join(sorted(PERMISSIONS[permission]))
        raise RoleTooLow(
            role=who.role, permission=permission, meaning=roles.MEANINGS[permission], roles=allowed
        )


async def _look_up(ctx: Context, credential: str, mark: bytes) -> Who:
    """Return whose key this is, from a look-up that all who come meanwhile share.

    All requests of a busy client find its key expired in the memory at the same moment. Whoever
    comes after a revocation has a look-up of their own.

    Raises: KeyRefused.
    """
    parts = keys.parse(credential)
    if parts is None:
        raise KeyRefused
    key_cache = ctx.part(State).key_cache
    moment = (mark, key_cache.revocations)
    running = key_cache.running.get(moment)
    if running is None:
        running = asyncio.create_task(_verified(ctx, parts, mark))
        key_cache.running[moment] = running
        running.add_done_callback(lambda _: key_cache.running.pop(moment))
    # Whoever gives up waiting leaves it to the others.
    return await asyncio.shield(running)


async def _verified(ctx: Context, parts: keys.Parts, mark: bytes) -> Who:
    """Return whose key this is by the database, and remember it.

    Raises: KeyRefused.
    """
    key_cache = ctx.part(State).key_cache
    revocations, now, clock = key_cache.revocations, utc_now(), time.monotonic()
    digest = keys.stored(ctx.part(State).pepper, parts)
    async with ctx.db.read(EVERYWHERE) as tx:
        row = await store.key(tx, parts.id)
    is_right = hmac.compare_digest(row.hash if row else _NO_HASH, digest)
    role = rows.role(row) if row else None
    if not (row and is_right and role and rows.is_live(row, now)):
        raise KeyRefused
    who = Who(
        workspace=row.workspace, role=role, member=row.member, key=row.id, contributor=row.member
    )
    trusted = min(key_cache.seconds, (row.expires_at - now).total_seconds())
    key_cache.keep(mark, who, until=clock + trusted, revocations=revocations)
    return who
