"""Idempotency-Key: a write that is sent twice takes effect once and answers twice the same."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from starlette.responses import Response

from volano.core.db import EVERYWHERE, now_ms
from volano.core.http.tables import LONGEST_KEY, keys
from volano.schemas.common import IdempotencyKeyReused, InvalidValues, StillRunning

if TYPE_CHECKING:
    from volano.core.db import Database
    from volano.schemas.accounts import Who

KEPT = timedelta(days=7)

PROBE_BYTES = 256 * 1024
"""More than fits into what a full database has left over here and there."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """One request with a key: whose it is, and a digest of everything that it asks for."""

    workspace: str
    member: str
    key: str
    fingerprint: str


def keyed_request(
    who: Who, key: bytes, asks: Sequence[str], query: bytes, body: bytes
) -> KeyedRequest:
    """Make the request with a key whose method, operation and values of the path are `asks`.

    Not the address as it was sent: every operation has two of them.

    Raises: InvalidValues (the key is not 1 to 200 printable characters).
    """
    text = key.decode("latin-1")
    if not (0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()):
        raise InvalidValues(
            reason=f"not 1 to {LONGEST_KEY} printable characters", at="header.idempotency-key"
        )
    digest = hashlib.blake2b(digest_size=16)
    for part in (*(ask.encode() for ask in asks), query, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return KeyedRequest(who.workspace, who.member or who.contributor, text, digest.hexdigest())


class IdempotencyStore:
    """The answers to requests with keys; knows which of them are running in this process."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.running: set[tuple[str, str, str]] = set()

    async def run(
        self, request: KeyedRequest, call: Callable[[Database], Awaitable[Response]]
    ) -> Response:
        """Return the answer of `call`, or the stored one of the first time.

        The key and the effect are one transaction, in which `call` is given the database: either
        both are there after a crash or neither. An error is not stored; its repetition runs again.
        Of the same key in another process, the second waits for the first at the database.

        Raises: StillRunning, IdempotencyKeyReused.
        """
        mark = (request.workspace, request.member, request.key)
        if mark in self.running:
            raise StillRunning(key=request.key)
        self.running.add(mark)
        its_row = keys.c.member == request.member, keys.c.key == request.key
        try:
            async with self.db.begin(request.workspace) as tx:
                claim = tx.upsert(keys, keys=["workspace", "member", "key"]).values(_row(request))
                # On PostgreSQL this waits for a first request that has not committed.
                if not await tx.run(claim):
                    row = await tx.one(tx.select(keys).where(*its_row))
                    assert row is not None
                    return _replayed(row, request)
                answer = await call(self.db.inside(tx))
                await tx.run(tx.update(keys).where(*its_row).values(_kept(answer)))
                return answer
        finally:
            self.running.discard(mark)


async def delete_expired(db: Database) -> int:
    """Delete the answers that are older than seven days and return how many those were."""
    age = int(KEPT.total_seconds() * 1000)
    async with db.begin(EVERYWHERE) as tx:
        return await tx.run(
            tx.delete(keys).where(sa.type_coerce(keys.c.created_at, sa.BigInteger) < now_ms() - age)
        )


async def write_probe(db: Database) -> None:
    """Write as much as a large answer and delete it again, to see whether the storage takes it.

    Raises: DatabaseUnavailable, StorageFull.
    """
    probe = KeyedRequest("server", "", "probe", "")
    async with db.begin(probe.workspace) as tx:
        row = _row(probe) | {"body": bytes(PROBE_BYTES)}
        await tx.run(tx.upsert(keys, keys=["workspace", "member", "key"]).values(row))
    async with db.begin(probe.workspace) as tx:
        await tx.run(tx.delete(keys).where(keys.c.key == probe.key))


def _row(request: KeyedRequest) -> dict[str, Any]:
    """Return the row of a request that has no answer yet."""
    return {
        "member": request.member,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "status": 0,
        "media_type": "",
        "headers": {},
        "body": b"",
        "created_at": now_ms(),
    }


def _kept(answer: Response) -> dict[str, Any]:
    """Return what is stored of an answer."""
    headers = dict(answer.headers)
    return {
        "status": answer.status_code,
        "media_type": headers.pop("content-type", ""),
        "headers": {name: value for name, value in headers.items() if name != "content-length"},
        "body": bytes(answer.body),
    }


def _replayed(row: sa.Row[Any], request: KeyedRequest) -> Response:
    """Return the stored answer.

    Raises: IdempotencyKeyReused (it is that of another request).
    """
    if row.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused(key=request.key)
    headers = row.headers | {"idempotency-replayed": "true"}
    return Response(row.body, row.status, headers, row.media_type or None)
