"""IDX, the files of MNIST and its kin: all pictures in one file, all labels in another.

    train-images-idx3-ubyte.gz  train-labels-idx1-ubyte.gz  t10k-images-idx3-ubyte.gz  ...

A file is 0, 0, type (8: bytes), number of dimensions, each dimension as four bytes, then the
values. Each picture becomes a PNG of the same pixels. Source: yann.lecun.com/exdb/mnist.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Final, cast

from volano.data.formats.items import Found, Item, Options, Skipped, split_among
from volano.data.formats.tree import Tree, shown
from volano.schemas.imports import ClassUnknown, FileNotRead, ImportUnreadable

_BYTES: Final = 8
_GZIP: Final = b"\x1f\x8b"
_MOST_PIXELS: Final = 1 << 24
_NAME: Final = re.compile(
    r"(?P<front>.*?)(?:images?|labels?)(?P<end>[.-]idx[1-4][.-](?:ubyte|ubytes))?(?:\.gz)?", re.I
)
_COLOURS: Final = {1: 0, 3: 2, 4: 6}
"""Channels -> PNG's number for them."""


@dataclass(frozen=True, slots=True)
class _File:
    """The head of one file, and its values behind it."""

    path: str
    shape: tuple[int, ...]
    values: IO[bytes]


def is_idx(head: bytes) -> bool:
    """Return whether a file begins like one of these, packed or not."""
    if head[:2] == _GZIP:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 4)
        except zlib.error:
            return False
    return len(head) >= 4 and head[:3] == b"\0\0\x08" and 1 <= head[3] <= 4


def files_of(tree: Tree) -> list[str]:
    """Return the paths of the files of a tree that are called so and are ones."""
    named = [file.path for file in tree.files if file.size and _called_so(file.path)]
    return [path for path in named if is_idx(tree.head(path, 1024))]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield every picture with its label, the file read as a stream.

    Raises: ImportUnreadable.
    """
    images, labels = _files(tree, options)
    if not images:
        raise ImportUnreadable(name=tree.name, reason="there is no IDX file of pictures in it")
    for path in images:
        yield from _pictures(tree, path, labels.pop(_key(path), None), options.names)
    for path in labels.values():
        error = FileNotRead(name=shown(path), reason="its pictures are not there")
        yield Skipped(locator=shown(path), error=error)


def count(tree: Tree, options: Options) -> int:
    """Return how many pictures the files say that they hold. Raises: VolanoError."""
    total = 0
    for path in _files(tree, options)[0]:
        with _opened(tree, path) as opened:
            total += opened.shape[0]
    return total


def _files(tree: Tree, options: Options) -> tuple[list[str], dict[tuple[str, str], str]]:
    """Return the files of pictures, and those of labels by what both are called."""
    paths = files_of(tree)
    if options.main:
        pair = _key(options.main)
        paths = [path for path in paths if _key(path) == pair] or [options.main]
    images = [path for path in paths if not _holds_labels(path)]
    return images, {_key(path): path for path in paths if _holds_labels(path)}


def _pictures(tree: Tree, path: str, labels: str | None, names: Sequence[str]) -> Iterator[Found]:
    with _opened(tree, path) as opened:
        count, high, wide, *rest = opened.shape if len(opened.shape) > 2 else (0, 0, 0)
        channels = rest[0] if rest else 1
        length = high * wide * channels
        if channels not in _COLOURS or not 0 < length <= _MOST_PIXELS:
            reason = f"{' x '.join(map(str, opened.shape))} values are no pictures"
            raise ImportUnreadable(name=shown(path), reason=reason)
        numbers = _numbers(tree, labels, count)
        split = split_among(re.split(r"[/._-]", path.replace("t10k", "test")))
        for n in range(count):
            locator = f"{shown(path)}#{n}"
            pixels = _read(opened, length)
            if len(pixels) < length:
                reason = f"it ends after {n:,} of {count:,} pictures"
                cut = ImportUnreadable(name=shown(path), reason=reason)
                yield Skipped(locator=locator, error=cut)
                return
            number = None if numbers is None else numbers[n]
            if number is not None and names and number >= len(names):
                unknown = ClassUnknown(name=locator, number=number, at="--names")
                yield Skipped(locator=locator, error=unknown)
                continue
            label = "" if number is None else names[number] if names else str(number)
            yield Item(
                locator=locator,
                media_type="image/png",
                label=label,
                split=split,
                read=partial(png, pixels, wide, high, channels),
            )


def _numbers(tree: Tree, path: str | None, count: int) -> bytes | None:
    """Return one number of a class for each picture; None without a file of labels.

    Raises: ImportUnreadable (there are more or fewer).
    """
    if path is None:
        return None
    with _opened(tree, path) as opened:
        numbers = _read(opened, opened.shape[0])
    if len(opened.shape) != 1 or len(numbers) != count:
        reason = f"it has {len(numbers):,} labels for {count:,} pictures"
        raise ImportUnreadable(name=shown(path), reason=reason)
    return numbers


@contextmanager
def _opened(tree: Tree, path: str) -> Iterator[_File]:
    """Open a file behind its head, unpacked. Raises: VolanoError."""
    packed = tree.head(path, 2) == _GZIP
    with tree.stream(path) as stream:
        values = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
        try:
            start = values.read(4)
            if not is_idx(start):
                raise ImportUnreadable(name=shown(path), reason="it is no IDX file of bytes")
            shape = struct.unpack(f">{start[3]}I", values.read(4 * start[3]))
        except (OSError, EOFError, zlib.error, struct.error) as error:
            raise ImportUnreadable(name=shown(path), reason=str(error)) from None
        yield _File(path, shape, values)


def _read(file: _File, length: int) -> bytes:
    """Return the next values; fewer where the file is cut. Raises: ImportUnreadable."""
    try:
        return file.values.read(length)
    except EOFError:
        return b""
    except (OSError, zlib.error) as error:
        raise ImportUnreadable(name=shown(file.path), reason=str(error)) from None


def png(pixels: bytes, wide: int, high: int, channels: int) -> bytes:
    """Return pixels as a PNG file."""
    row = wide * channels
    lines = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    head = struct.pack(">IIBBBBB", wide, high, 8, _COLOURS[channels], 0, 0, 0)
    chunks = (
        _chunk(b"IHDR", head),
        _chunk(b"IDAT", zlib.compress(lines, 6)),
        _chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _called_so(path: str) -> bool:
    return _NAME.fullmatch(path.rpartition("/")[2]) is not None


def _holds_labels(path: str) -> bool:
    return "label" in path.rpartition("/")[2].lower()


def _key(path: str) -> tuple[str, str]:
    """Return what a file of pictures and its file of labels have in common."""
    folder, _, name = path.rpartition("/")
    match = _NAME.fullmatch(name)
    return folder, match["front"].lower() if match else name
