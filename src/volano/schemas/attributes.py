"""What is stated of records after they came: labels corrected, flags, quality, tags, boxes."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from volano.schemas.common import Input, Name, Struct, Uuid
from volano.schemas.data import RecordFilter
from volano.schemas.errors import Conflict, Invalid


class Attribute(Struct, frozen=True, kw_only=True):
    """One statement about a record. It stays when another one follows it."""

    sequence: int
    """1 is the first of its record."""
    name: Name
    value: Any
    by: str = ""
    """The member who said so; empty: it came with the record."""
    at: datetime


class NewAttribute(Input, frozen=True, kw_only=True):
    """A statement to make about one record.

    `label`, `split` and `quality` (0 to 1, or null) replace what the record has; `flag` and
    `unflag` add and remove the flag that is the value. Any other name is a tag, with any value; its
    newest one counts.
    """

    name: Name
    value: Any = None


class AttributeChange(NewAttribute, frozen=True, kw_only=True):
    """A statement to make about many records: those with these ids, or those that fit a filter."""

    ids: Annotated[list[Uuid], Meta(min_length=1, max_length=1000)] | None = None
    filter: RecordFilter | None = None
    dry_run: bool = False
    """True: count them, and change nothing."""


class Changed(Struct, frozen=True, kw_only=True):
    """What a statement about many records has changed, or would."""

    records: int
    """Of which it was not known yet."""
    unchanged: int = 0
    """Of which it was known: nothing is stated anew."""


class AttributeRefused(Invalid):
    """The attribute {name!r} of a record cannot be that: {reason}."""

    remedy = (
        "A label is text, a split a short name, a quality a number from 0 to 1 or null, a flag a "
        "short name."
    )


class TooManyFlags(Conflict):
    """The record {id} has too many flags for one more, {flag!r}."""

    remedy = "Remove others first: `volano data flag ID FLAG --remove`."


class WhichRecords(Invalid):
    """Exactly one of ids and filter says which records are meant."""

    remedy = "Send `ids`, a list, or `filter`; an empty filter means all records."
