"""What readers read: files by path, in a folder or (formats/archive.py) in an archive."""

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Final, Protocol

from volano.data.formats.items import Skipped, ending, split_among
from volano.schemas.errors import VolanoError
from volano.schemas.imports import (
    ArchiveInside,
    EmptyFile,
    FileNotRead,
    FileTooLarge,
    FileUnreadable,
    HiddenFile,
    MemberRefused,
    SystemFile,
)

MOST_BYTES: Final = 64 << 20
"""Of one file that becomes an item; lists of annotations may be longer."""

MOST_LISTING_BYTES: Final = 2 << 30
"""Of one file that describes others; COCO's own has 450 MB."""

HEAD: Final = 256 << 10
"""Bytes that tell what a file is, and how large a picture."""

_ARCHIVES: Final = frozenset({"zip", "tar", "tgz", "gz", "bz2", "xz", "7z", "rar", "zst"})

_SYSTEM: Final = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "__macosx",
        ".ds_store",
        ".ipynb_checkpoints",
        ".git",
        "@eadir",
        "lost+found",
    }
)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a tree."""

    path: str
    """From the top of the tree, with slashes."""
    size: int


class Tree(Protocol):
    """Files by path."""

    name: str
    """Name of the folder or archive, for people."""
    passed_over: list[Skipped]
    """What is there but is never data."""

    @property
    def files(self) -> list[File]:
        """Everything that may be data, in the order in which it is read best."""

    def has(self, path: str) -> bool:
        """Return whether there is a file of exactly this path."""

    def read(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return a whole file.

        Raises: FileUnreadable, EmptyFile, FileTooLarge, MemberRefused.
        """

    def head(self, path: str, length: int = HEAD) -> bytes:
        """Return the beginning of a file. Raises: as `read`."""

    def stream(self, path: str) -> IO[bytes]:
        """Return a file opened for reading from its beginning. Raises: FileUnreadable."""


class Folder:
    """A folder with all that is below it; links are followed, each folder is visited once."""

    def __init__(self, root: Path, *, only: str = "", beside: Path | None = None) -> None:
        self.name = only or root.resolve().name or str(root)
        self.root = root
        self.passed_over: list[Skipped] = []
        self._only = only
        """The one file of it that counts; empty: all."""
        self._beside = beside
        """A file from elsewhere, which stands here under its own name."""

    @cached_property
    def files(self) -> list[File]:
        """Everything that may be data, by path."""
        if self._only:
            return [File(self._only, (self.root / self._only).stat().st_size)]
        return [File(path, size) for path, size in _walk(self.root, "", set(), self.passed_over)]

    def has(self, path: str) -> bool:
        """Return whether there is a file of exactly this path, without a walk through all."""
        try:
            return self._at(path).is_file()
        except (OSError, ValueError):  # too long, or with a NUL
            return False

    def read(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return a whole file.

        Raises: FileUnreadable, EmptyFile, FileTooLarge.
        """
        data = self.head(path, most + 1)
        if len(data) > most:
            size = self._at(path).stat().st_size
            raise FileTooLarge(name=shown(path), size=size, limit=most)
        return data

    def head(self, path: str, length: int = HEAD) -> bytes:
        """Return the beginning of a file. Raises: FileUnreadable, EmptyFile."""
        try:
            with self.stream(path) as file:
                data = file.read(length)
        except OSError as error:
            raise FileUnreadable(name=shown(path), reason=error.strerror or str(error)) from None
        if not data:
            raise EmptyFile(name=shown(path))
        return data

    def stream(self, path: str) -> IO[bytes]:
        """Return a file opened for reading. Raises: FileUnreadable."""
        try:
            return self._at(path).open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise FileUnreadable(name=shown(path), reason=reason) from None

    def _at(self, path: str) -> Path:
        if self._beside is not None and path == self._beside.name:
            return self._beside
        return self.root / path


def _walk(
    root: Path, below: str, seen: set[tuple[int, int]], skipped: list[Skipped]
) -> Iterator[tuple[str, int]]:
    """Yield path and size of the files below a folder, in the order of their names."""
    try:
        here = os.stat(root / below)
        entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
    except OSError as error:
        if not below:
            raise
        reason = FileUnreadable(name=shown(below), reason=error.strerror or str(error))
        skipped.append(Skipped(locator=shown(below), error=reason))
        return
    if (here.st_dev, here.st_ino) in seen:
        again = FileNotRead(name=shown(below), reason="it links to a folder that is read already")
        skipped.append(Skipped(locator=shown(below), error=again, loss="none"))
        return
    seen.add((here.st_dev, here.st_ino))
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if (noise := never_data(path)) is not None:
            skipped.append(noise)
        elif entry.is_dir():
            yield from _walk(root, path, seen, skipped)
        elif (size := _regular(entry, path, skipped)) is not None:
            yield path, size


def _regular(entry: "os.DirEntry[str]", path: str, skipped: list[Skipped]) -> int | None:
    """Return the size of a regular file; note anything else."""
    error: VolanoError
    try:
        told = entry.stat()
    except OSError as failure:  # a link to nowhere
        error = FileUnreadable(name=shown(path), reason=failure.strerror or str(failure))
    else:
        if stat.S_ISREG(told.st_mode):
            return told.st_size
        error = MemberRefused(name=shown(path), reason="it is not a regular file")
    skipped.append(Skipped(locator=shown(path), error=error))
    return None


def never_data(path: str) -> Skipped | None:
    """Return why a path is never data: hidden, or kept by a file manager; None where it may be."""
    for part in path.split("/"):
        name = part.lower()
        if name in _SYSTEM or name.startswith("._") or name.endswith("~"):
            error: VolanoError = SystemFile(name=shown(path))
            return Skipped(locator=shown(path), error=error, loss="none")
        if name.startswith(".") and name.strip("."):
            error = HiddenFile(name=shown(path))
            return Skipped(locator=shown(path), error=error, loss="none")
    return None


def beside(path: str, reason: str) -> Skipped:
    """Return that a file is no part of what is read; an archive may hold what is missing."""
    name = shown(path)
    if ending(path) in _ARCHIVES:
        return Skipped(locator=name, error=ArchiveInside(name=name))
    return Skipped(locator=name, error=FileNotRead(name=name, reason=reason), loss="none")


def shown(path: str) -> str:
    """Return a path as valid text: bytes that are no UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Names:
    """Finds the file of a tree that a list means, however the list spells its path."""

    def __init__(self, tree: Tree, endings: Collection[str] = ()) -> None:
        self._tree = tree
        self._endings = endings
        """Extensions of what can be found; empty: of anything."""

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Name and name without extension -> paths. Built once a listed path is not there as is."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in self._tree.files:
            if self._endings and ending(file.path) not in self._endings:
                continue
            name = _spelling(file.path).rpartition("/")[2]
            found[name].append(file.path)
            if (stem := name.rpartition(".")[0]) and stem != name:
                found[stem].append(file.path)
        return found

    def find(self, listed: str, *, beside: str = "", split: str = "") -> str | None:
        """Return the path of the file that is `listed` in a file of the folder `beside`.

        Put up with backslashes, another case, other accents, a missing extension and folders that
        are named otherwise here, as long as exactly one file can be meant; of several, the one
        below a folder of the `split`. Nothing outside the tree is ever found.
        """
        path = normal(listed)
        for start in dict.fromkeys((beside, "")):
            inside = within(f"{start}/{path}" if start else path)
            if inside and self._tree.has(inside) and self._fits(inside):
                return inside
        end = [part for part in _spelling(path).split("/") if part not in ("", ".", "..")]
        few = self._by_name.get(end[-1], []) if end else []
        for length in range(len(end), 0, -1):
            alike = [one for one in few if _ends(_spelling(one).split("/"), end[-length:])]
            if len(alike) > 1 and split:
                alike = [one for one in alike if split_among(one.split("/")[:-1]) == split]
            if alike:
                return alike[0] if len(alike) == 1 else None
        return None

    def _fits(self, path: str) -> bool:
        return not self._endings or ending(path) in self._endings


def _ends(parts: list[str], end: list[str]) -> bool:
    """Return whether a path ends so, its extension left aside where the end has none."""
    if len(parts) < len(end) or parts[-len(end) : -1] != end[:-1]:
        return False
    return parts[-1] == end[-1] or parts[-1].rpartition(".")[0] == end[-1]


def _spelling(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def normal(listed: str) -> str:
    """Return a listed path with slashes, without what is around it."""
    path = listed.strip().strip("\"'").replace("\\", "/")
    return path.removeprefix("./")


def within(path: str) -> str | None:
    """Return a path without `.` and `..`; None where it leads out or is absolute."""
    if path.startswith("/") or path[1:3] == ":/":
        return None
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not kept:
                return None
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)
