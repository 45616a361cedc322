"""`version.json` as it was written at any time: older forms are converted when they are read."""

from typing import Any

import msgspec

from volano.schemas.common import Json
from volano.schemas.registry import (
    ArtefactRefused,
    ClassesSpec,
    DrawingSpec,
    Golden,
    Signature,
    VersionFile,
)

NAME = "version.json"

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Schema(msgspec.Struct):
    schema: int = 1


class _VersionFile1(msgspec.Struct, frozen=True, kw_only=True):
    """Schema 1: a recogniser of drawings, before there were other inputs and outputs."""

    classes: list[str]
    temperature: float = 1.0
    max_segments: int = 96
    tolerance: float = 1 / 32
    parity: float = 0.0
    golden: list[Golden] = []
    facts: Json = {}


def read(content: bytes) -> VersionFile:
    """Read the file that a run left.

    Raises: ArtefactRefused (a user's code wrote it: it may be anything).
    """
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema == 1:
            return _converted(msgspec.json.decode(content, type=_VersionFile1))
        return msgspec.json.decode(content, type=VersionFile)
    except _UNREADABLE as error:
        raise ArtefactRefused(reason=f"{NAME}: {error}") from None


def from_row(value: dict[str, Any]) -> VersionFile:
    """Return what a row of the registry holds of it."""
    if value.get("schema", 1) == 1:
        return _converted(msgspec.convert(value, _VersionFile1))
    return msgspec.convert(value, VersionFile)


def _converted(old: _VersionFile1) -> VersionFile:
    return VersionFile(
        signature=Signature(
            input=DrawingSpec(max_segments=old.max_segments, tolerance=old.tolerance),
            output=ClassesSpec(classes=old.classes),
        ),
        temperature=old.temperature,
        parity=old.parity,
        golden=old.golden,
        facts=old.facts,
    )
