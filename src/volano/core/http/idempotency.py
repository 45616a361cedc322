"""Idempotency-Key: a write that is sent twice takes effect once and answers twice the same."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from volano.core.db import EVERYWHERE, now_ms
from volano.core.http.answer import Raw, Stream
from volano.core.http.tables import LONGEST_KEY, keys
from volano.schemas.common import IdempotencyKeyReused, InvalidValues, StillRunning

if TYPE_CHECKING:
    from volano.core.db import Database, Tx
    from volano.schemas.accounts import Who

KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Once:
    """One request with a key: whose it is, and a digest of everything that it asks for."""

    workspace: str
    member: str
    key: str
    fingerprint: str


def once(who: Who, key: bytes, asks: Sequence[str], query: bytes, body: bytes) -> Once:
    """A request whose method, operation and values of the path are `asks`.

    Not the address as it was sent: every operation has two of them.

    Raises: InvalidValues (the key is not 1 to 200 printable characters).
    """
    text = key.decode("latin-1")
    if not (0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()):
        raise InvalidValues(
            reason=f"not 1 to {LONGEST_KEY} printable characters", at="header.idempotency-key"
        )
    digest = _fingerprint(*(part.encode() for part in asks), query, body)
    return Once(who.workspace, who.member or who.contributor, text, digest)


class Keys:
    """Runs keyed requests; knows which ones are running in this process."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.running: set[tuple[str, str, str]] = set()

    async def run(
        self, request: Once, status: int, call: Callable[[], Awaitable[Raw | Stream]]
    ) -> Raw:
        """The answer of `call`, or the stored one of the first time.

        The key and the effect are one transaction, which `call` joins: either both are there
        after a crash or neither. An error is not stored; its repetition runs again. Of the same
        key in another process, the second waits for the first at the database.

        Raises: StillRunning, IdempotencyKeyReused.
        """
        mark = (request.workspace, request.member, request.key)
        if mark in self.running:
            raise StillRunning(key=request.key)
        self.running.add(mark)
        try:
            async with self.db.begin(request.workspace) as tx:
                if not await _claim(tx, request):
                    row = await tx.one(tx.select(keys).where(*_is(request)))
                    assert row is not None
                    return _replayed(row, request)
                answer = await call()
                assert isinstance(answer, Raw), "routes that stream are natural"
                await _keep(tx, request, answer, status)
                return answer
        finally:
            self.running.discard(mark)


async def sweep(db: Database) -> int:
    """Forget the keys that are older than seven days; how many those were."""
    age = int(KEPT.total_seconds() * 1000)
    async with db.begin(EVERYWHERE) as tx:
        return await tx.run(
            tx.delete(keys).where(sa.type_coerce(keys.c.created_at, sa.BigInteger) < now_ms() - age)
        )


async def _claim(tx: Tx, request: Once) -> bool:
    """Whether this is the first time; on PostgreSQL it waits for a first that has not committed."""
    row = {
        "member": request.member,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "status": 0,
        "media_type": "",
        "headers": {},
        "body": b"",
        "created_at": now_ms(),
    }
    statement = tx.upsert(keys, keys=["workspace", "member", "key"]).values(row)
    return await tx.run(statement) == 1


def _replayed(row: sa.Row[Any], request: Once) -> Raw:
    if row.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused(key=request.key)
    headers = row.headers | {"idempotency-replayed": "true"}
    return Raw(row.body, row.media_type, headers, row.status)


async def _keep(tx: Tx, request: Once, answer: Raw, status: int) -> None:
    values = {
        "status": answer.status or status,
        "media_type": answer.media_type,
        "headers": dict(answer.headers),
        "body": answer.body,
    }
    await tx.run(tx.update(keys).where(*_is(request)).values(values))


def _is(request: Once) -> tuple[sa.ColumnElement[bool], ...]:
    return keys.c.member == request.member, keys.c.key == request.key


def _fingerprint(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
