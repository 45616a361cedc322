"""Records that are deleted, and why that is refused."""

from typing import Annotated

from msgspec import Meta

from volano.schemas.common import Input, Struct, Uuid
from volano.schemas.data import RecordFilter
from volano.schemas.errors import Conflict, Missing


class Deletion(Input, frozen=True, kw_only=True):
    """Records to delete: those with these ids, or those that fit a filter."""

    ids: Annotated[list[Uuid], Meta(min_length=1, max_length=1000)] | None = None
    filter: RecordFilter | None = None
    confirm: Annotated[int, Meta(ge=0)]
    """How many they are: with another number nothing is deleted."""


class Deleted(Struct, frozen=True, kw_only=True):
    """How many records were deleted."""

    records: int


class CountDiffers(Conflict):
    """These are {found} records, not {confirmed}; none was deleted."""

    remedy = "Look at them with `volano data ls`; then confirm the number {found}."


class RecordDeleted(Missing):
    """The {noun} {id} has been deleted."""

    status = 410
    remedy = "Snapshots that froze it keep its line; its content is gone."
