"""The name of stored bytes, and what can go wrong with them."""

from typing import Annotated

import msgspec

from volano.schemas.common import Struct
from volano.schemas.errors import Broken, Invalid, Missing, Unavailable

BlobId = Annotated[str, msgspec.Meta(pattern=r"^b3_[0-9a-f]{64}$")]
"""`b3_` and the BLAKE3 hash of the bytes."""


class Orphans(Struct, frozen=True, kw_only=True):
    """Blobs that nothing refers to, and the room they take."""

    blobs: int
    bytes: int


class BlobMissing(Missing):
    """There is no blob {id!r} in this workspace."""


class BlobCorrupt(Broken):
    """The blob {id!r} is not what was stored: its bytes are those of {found!r}."""

    remedy = "Store the same bytes again, or restore them from a backup."


class RangeOutside(Invalid):
    """The blob {id!r} has {size} bytes: {length} from {start} on are not all in it."""

    status = 416


class BlobsUnavailable(Unavailable):
    """The blob store did not do what it was asked: {operation}."""
