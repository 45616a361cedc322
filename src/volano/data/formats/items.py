"""What a reader of a format gives: items to store, and what it passed over; light, for the CLI."""

import hashlib
import unicodedata
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from volano.schemas.data import Split
from volano.schemas.drawings import ImportedDrawing
from volano.schemas.errors import VolanoError
from volano.schemas.imports import LabelRefused

Loss = Literal["none", "note", "part", "item"]
"""What is missing because of it: nothing; nothing, but an item is not as it may seem; a part of an
item; an item."""

LONGEST_LABEL: Final = 200

MEDIA_TYPES: Final[dict[str, dict[str, str]]] = {
    "image": {
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "jpe": "image/jpeg",
        "jfif": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "gif": "image/gif",
        "bmp": "image/bmp",
        "dib": "image/bmp",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "ppm": "image/x-portable-pixmap",
        "pgm": "image/x-portable-graymap",
        "pbm": "image/x-portable-bitmap",
    },
    "text": {"txt": "text/plain"},
    "file": {
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "m4a": "audio/mp4",
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "avi": "video/x-msvideo",
        "mkv": "video/x-matroska",
        "pdf": "application/pdf",
    },
}
"""Kind -> extension -> media type of the files that are imported as they are."""

KIND_OF: Final = {ending: kind for kind, types in MEDIA_TYPES.items() for ending in types}
"""Extension -> kind."""

_SPLITS: Final[dict[str, Split]] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "validate": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One field of an item that has several."""

    kind: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to store. A drawing is whole in here, all else is read when it is wanted."""

    locator: str
    """Where it stands in its source: a path, of a part of a file with `#` and its number."""
    kind: str = "image"
    media_type: str = ""
    read: Callable[[], bytes] = bytes
    """Return the content. Raises: VolanoError."""
    fields: dict[str, Value] = field(default_factory=dict)
    """Of an item with several fields, each; `read` returns them all, one after the other."""
    label: str = ""
    split: str = ""
    group: str = ""
    contributor: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    """Of what was a record before; else it is made of where it stands."""
    dataset: str = ""
    """In which it was a record before."""
    synthetic: bool = False
    captured_at: datetime | None = None
    drawing: ImportedDrawing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that was passed over, and why."""

    locator: str
    error: VolanoError
    loss: Loss = "item"


Found = Item | Skipped


def ending(path: str) -> str:
    """Return the extension of a path in lower case, without the dot; empty where it has none."""
    name = path.rpartition("/")[2]
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def split_of(name: str) -> Split | Literal[""]:
    """Return the split that a folder or a cell names (`Val`, `train2017`); empty for others."""
    return _SPLITS.get(name.strip().lower().rstrip("0123456789_- "), "")


def split_among(names: Iterable[str]) -> Split | Literal[""]:
    """Return the split that the first of the names tells which tells one."""
    return next((split for name in names if (split := split_of(name))), "")


def label_of(text: str, name: str) -> str:
    """Return a text as a label.

    Raises: LabelRefused (too long, or with control characters; `name` is the item's).
    """
    label = unicodedata.normalize("NFC", text).strip()
    if len(label) > LONGEST_LABEL:
        raise LabelRefused(label=label, name=name, reason=f"it has {len(label)} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in label):
        raise LabelRefused(label=label, name=name, reason="it has control characters")
    return label


def item_id(dataset: str, locator: str, sha256: str) -> str:
    """Return the id of an item in a dataset: the same whenever it is imported, and no other's.

    Paths count in NFC: an archive unpacked on a Mac gives the same ids as the archive itself.
    Source: RFC 9562, section 5.8 (version 8), over a BLAKE2b digest.
    """
    path = unicodedata.normalize("NFC", locator)
    return _uuid("\0".join((dataset, path, sha256)))


def drawing_id(source: str, locator: str) -> str:
    """Return the id of the drawing at `locator`: the same for ever, and no other's.

    Source: as `item_id`.
    """
    return _uuid(f"{source}\0{locator}")


def _uuid(text: str) -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    value = int.from_bytes(digest, "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person says about a source that it does not say itself."""

    origin: str = ""
    """Name of where it comes from; a drawing's id is made of it and its place."""

    main: str = ""
    """The file that was named, in the tree of its folder; empty where all is read."""
    labels: Literal["auto", "top", "leaf", "path", "none"] = "auto"
    """Which folder is the label: the first, the last, all of them, or none."""
    columns: dict[str, str] = field(default_factory=dict)
    """What a column of a list means (path, label, split, group, ...) -> its name there."""
    names: tuple[str, ...] = ()
    """Names of the classes, in the order of their numbers."""
