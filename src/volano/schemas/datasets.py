"""Datasets and what goes into them: records of every kind, on their way in."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta
from msgspec.structs import force_setattr

from volano.schemas.common import Input, Name, Struct, Text, Uuid, Words, composed
from volano.schemas.errors import Conflict, Invalid, Missing, TooMuch

Facts = dict[str, str | int | float | bool | None]
"""What a kind says of an item: small values by name."""

DRAWINGS: Final = "drawings"
"""The dataset of the game."""

Fields = Annotated[dict[Name, Name], Meta(min_length=1, max_length=16)]
"""The kind of each field by the field's name: `{"photo": "image", "caption": "text"}`."""


class Dataset(Struct, frozen=True, kw_only=True):
    """Records that belong together: every record is in one dataset."""

    name: Name
    fields: dict[str, str]
    """The kind of each field; nearly always there is one."""
    licence: str = ""
    source: str = ""
    """Where it came from, in words or as an address."""
    description: str = ""
    labels: list[str] = []
    """The labels of its records, by name; the first thousand."""
    records: int = 0
    """On the shelf; what came in the last seconds is not counted yet."""
    created_at: datetime
    created_by: str = ""
    archived_at: datetime | None = None
    """Since then it takes no more records."""


class NewDataset(Input, frozen=True, kw_only=True):
    """A dataset to make."""

    name: Name
    fields: Fields
    licence: Words = ""
    source: Text = ""
    description: Text = ""


class DatasetChange(Input, frozen=True, kw_only=True):
    """What a dataset says of itself from now on; what is left out stays."""

    licence: Words | None = None
    source: Text | None = None
    description: Text | None = None
    archived: bool | None = None
    """True: it takes no more records; false: it does again."""


class NewValue(Input, frozen=True, kw_only=True):
    """One value as JSON can say it: exactly one of text, bytes in base64, and JSON itself."""

    text: str | None = None
    data: bytes | None = None
    json: Any = None
    media_type: Words = ""


class NewItem(NewValue, frozen=True, kw_only=True):
    """What is known of a record on its way in, and in a JSON body the record itself."""

    id: Uuid | None = None
    """A UUID that the client makes once, so sending twice stores once; else the server makes it."""
    name: Words = ""
    """Of the file."""
    label: Words = ""
    split: Annotated[str, Meta(max_length=32, pattern=r"^[a-z0-9_.-]*$(?!\n)")] = ""
    group: Words = ""
    contributor: Annotated[str, Meta(max_length=64)] = ""
    origin: Annotated[str, Meta(max_length=100)] = ""
    synthetic: bool = False
    captured_at: Annotated[datetime, Meta(tz=True)] | None = None
    attributes: dict[Name, Any] = {}
    """What is stated of the record beside its label, such as its boxes."""
    fields: dict[str, NewValue] = {}
    """The fields of a record that has several."""

    def __post_init__(self) -> None:
        """Make labels that look alike one."""
        force_setattr(self, "label", composed(self.label))


class NewItems(Input, frozen=True, kw_only=True):
    """Records as one JSON document."""

    items: Annotated[list[NewItem], Meta(min_length=1, max_length=1000)]


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one record: stored durably, or refused with a code, a reason and a remedy.

    Sent again, a stored record gets the same answer with `duplicate`.
    """

    id: str
    stored: bool
    duplicate: bool = False
    name: str = ""
    """Of the file, as it was given."""
    flags: list[str] = []
    code: str = ""
    detail: str = ""
    remedy: str = ""


class Lookup(Input, frozen=True, kw_only=True):
    """SHA-256 digests, in hex, of bytes that may have been sent already."""

    sha256: Annotated[
        list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(min_length=1, max_length=10_000)
    ]


class Known(Struct, frozen=True, kw_only=True):
    """Those of the digests whose bytes are here, each with the records that were sent so."""

    records: dict[str, list[str]]


class NoSuchKind(Invalid):
    """There is no kind of records {kind!r}."""

    remedy = "It is one of: {known}."


class FieldReserved(Invalid):
    """No field can be called {field!r}: so is a column that every record has."""

    remedy = "Give it another name than: {reserved}."


class DatasetReserved(Invalid):
    """The dataset {name!r} holds the drawings of the game, in one field `drawing`."""

    remedy = "Give the new dataset another name."


class DatasetArchived(Conflict):
    """The dataset {name!r} is archived: it takes no more records."""

    remedy = "`volano datasets edit {name} --archived no` opens it again."


class DatasetNotEmpty(Conflict):
    """The dataset {name!r} has {records} records."""

    remedy = (
        "Delete its records first, or archive it: `volano datasets edit {name} --archived yes`."
    )


class RecordIdReused(Conflict):
    """The id {id} was used before for another record."""

    status = 422
    remedy = "Make a new UUIDv7 for each record, or leave the id out."


class ContentUnreadable(Invalid):
    """This cannot be read as {kind}: {reason}."""

    remedy = "Is it complete, and of the kind that the dataset holds?"


class TextUnreadable(Invalid):
    """The text is not UTF-8: {reason} at byte {position}."""

    remedy = "Save it as UTF-8."


class ContentEmpty(Invalid):
    """There is nothing to store: {what} has no content."""

    remedy = "Send the bytes of a file, or an item with `text`, `data` (base64) or `json`."


class ContentTooLarge(TooMuch):
    """It has more than {limit} bytes, which is the most of the kind {kind}."""

    status = 413
    remedy = "Send a smaller one."


class MediaTypeOfKind(Invalid):
    """The kind {kind} does not read {media_type!r}."""

    status = 415
    remedy = "Send one of: {accepted}."


class FieldsDiffer(Invalid):
    """The dataset has the fields {wanted}; given are {given}."""

    remedy = "Send one part or value for each field, under its name."


class NoSuchField(Missing):
    """The record {id} has no field {field!r}."""

    remedy = "It has: {known}."


class NoPreview(Missing):
    """There is no preview of the kind {kind}."""

    remedy = "GET …/content has the bytes."
