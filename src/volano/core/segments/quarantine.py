"""Rows of an inbox that cannot be read: kept with the reason, passed over until they are retried.

They stay where they were acknowledged, so their keys stay taken and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Tx
from volano.core.http.page import Keyset
from volano.core.segments.tables import inbox
from volano.schemas.errors import VolanoError

BY_KEY = Keyset((inbox.c.stream, inbox.c.key))

_LONGEST_REASON = 500
_HELD = inbox.c.reason.is_not(None)


def reason_of(error: Exception) -> str:
    """Say why a row cannot be read, as the database can store it."""
    if isinstance(error, VolanoError):
        text = f"{error.code}: {error.message}"
    else:
        text = f"{type(error).__name__}: {error}"
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return text.removesuffix(".")[:_LONGEST_REASON]


async def add(tx: Tx, stream: str, reasons: Mapping[str, str]) -> None:
    """Put waiting rows into quarantine, each with its reason."""
    if not reasons:
        return
    named = inbox.c.stream == stream, inbox.c.key == sa.bindparam("of", type_=inbox.c.key.type)
    held = tx.update(inbox).where(*named).values(reason=sa.bindparam("why"))
    await tx.run(held, [{"of": key, "why": why} for key, why in sorted(reasons.items())])


async def page(tx: Tx, *, after: str, limit: int) -> Sequence[sa.Row[Any]]:
    """List the rows of all streams in quarantine: a page, and one more where there is another.

    Raises: CursorRefused.
    """
    columns = inbox.c.stream, inbox.c.key, inbox.c.subject, inbox.c.reason, inbox.c.received_ms
    query = tx.select(*columns, sa.func.length(inbox.c.payload).label("size")).where(_HELD)
    return await tx.all(BY_KEY.slice(query, after, limit))


async def release(tx: Tx, keys: Collection[str] | None = None) -> int:
    """Let these rows, or all of them, wait for a segment again; return how many were held."""
    again = tx.update(inbox).where(_HELD).values(reason=None)
    return await tx.run(again if keys is None else again.where(inbox.c.key.in_(keys)))


async def remove(tx: Tx, key: str) -> bool:
    """Delete a row in quarantine; return whether it was there."""
    return await tx.run(tx.delete(inbox).where(_HELD, inbox.c.key == key)) > 0
