"""Kinds whose decoders are written in C read bytes from anybody in limited processes only."""

from __future__ import annotations

import asyncio

import msgspec

from volano.core.compute import WorkerPool
from volano.data.kinds import KINDS, Kind, Preview, Reading

TARGET = f"{__name__}:perform"

_READ, _PREVIEW = "read", "preview"


def perform(task: str, kind: str, option: str, data: bytes) -> bytes:
    """Read an item of a media type, or make a preview of so many px; for the limited process."""
    if task == _READ:
        return msgspec.msgpack.encode(KINDS[kind].read(data, option))
    return msgspec.msgpack.encode(KINDS[kind].preview(data, int(option)))


async def read(pool: WorkerPool, kind: Kind, data: bytes, media_type: str) -> Reading:
    """Read an item where its kind may do so.

    Raises: what the kind refuses; InputNotRead, Overloaded, StartFailed.
    """
    if not kind.is_slow:
        return await asyncio.to_thread(kind.read, data, media_type)
    found = await pool.call(_READ, kind.name, media_type, data)
    return msgspec.msgpack.decode(found, type=Reading)


async def preview(pool: WorkerPool, kind: Kind, payload: bytes, size_px: int) -> Preview:
    """Make a preview where its kind may do so.

    Raises: NoPreview; InputNotRead, Overloaded, StartFailed.
    """
    if not kind.is_slow:
        return await asyncio.to_thread(kind.preview, payload, size_px)
    made = await pool.call(_PREVIEW, kind.name, str(size_px), payload)
    return msgspec.msgpack.decode(made, type=Preview)
