"""What a statement makes of a record's columns. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from volano.data import ingest
from volano.schemas.attributes import AttributeRefused, NewAttribute, TooManyFlags
from volano.schemas.common import Words, composed

Columns = dict[str, Any]

PROMOTED: Final = ("label", "split", "quality")
"""Attributes that are columns of the index as they are."""
FLAG, UNFLAG = "flag", "unflag"
COLUMNS: Final = (*PROMOTED, FLAG, UNFLAG)
"""Attributes that the record itself shows; all others are tags."""

_LONGEST_FLAGS = 200  # of the column
_LARGEST = 2**18  # bytes of a value as JSON

_Split = Annotated[str, Meta(max_length=32, pattern=r"^[a-z0-9_.-]*$(?!\n)")]
_Quality = Annotated[float, Meta(ge=0, le=1)] | None
_Flag = Annotated[str, Meta(min_length=1, max_length=27, pattern=r"^[^|\x00-\x1f]+$(?!\n)")]
_TYPES: Final[Mapping[str, Any]] = {
    "label": Words,
    "split": _Split,
    "quality": _Quality,
    FLAG: _Flag,
    UNFLAG: _Flag,
}


def checked(new: NewAttribute) -> Any:
    """Return the value as it is kept.

    Raises: AttributeRefused.
    """
    try:
        value = msgspec.convert(new.value, _TYPES.get(new.name, Any))
    except msgspec.ValidationError as error:
        raise AttributeRefused(name=new.name, reason=str(error)) from None
    if len(msgspec.json.encode(value)) > _LARGEST:
        raise AttributeRefused(name=new.name, reason=f"it has more than {_LARGEST} bytes")
    return composed(value) if isinstance(value, str) else value


def change(record: Mapping[str, Any], name: str, value: Any) -> Columns:
    """Return the columns of a record that a promoted attribute changes, with their new values.

    Raises: TooManyFlags.
    """
    if name in PROMOTED:
        return {} if record[name] == value else {name: value}
    flags = ingest.flags_list(record["flags"])
    if (name == FLAG) == (value in flags):
        return {}
    kept = [*flags, value] if name == FLAG else [flag for flag in flags if flag != value]
    text = ingest.flags_text(kept)
    if len(text) > _LONGEST_FLAGS:
        raise TooManyFlags(id=record["id"], flag=value)
    return {"flags": text}


def is_promoted(name: str) -> bool:
    """Return whether an attribute is a column of the index."""
    return name in _TYPES


def arrived_with(record: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    """Return what a record came with, as statements, where an attribute is stated first."""
    if name in PROMOTED:
        return [(name, record[name])] if record[name] not in ("", None) else []
    if name in (FLAG, UNFLAG):
        return [(FLAG, flag) for flag in ingest.flags_list(record["flags"])]
    return []
