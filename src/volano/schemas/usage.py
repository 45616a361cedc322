"""What takes the disk."""

from volano.schemas.common import Struct


class DatasetUsage(Struct, frozen=True, kw_only=True):
    """The records of one dataset on the shelf."""

    name: str
    records: int
    bytes: int
    """Of their payloads, as they were before they were packed."""


class BlobUsage(Struct, frozen=True, kw_only=True):
    """Blobs that something refers to."""

    of: str
    """What it is: `records in segments`, or a table; `nothing`, which a sweep deletes."""
    blobs: int
    bytes: int


class Usage(Struct, frozen=True, kw_only=True):
    """What a workspace has stored, besides the database itself."""

    datasets: list[DatasetUsage]
    blobs: list[BlobUsage]
    bytes: int
    """Of all blobs."""
