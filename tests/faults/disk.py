"""A disk that keeps what was synced and forgets some of the rest: folders rebuilt after power cuts.

The kernel writes pages of 4 KiB when it likes: of each, any version since the last sync may have
reached the disk, the next one torn at a 512-byte sector. A folder's changes reach it in order, and
only for sure once the folder was synced (a file's own sync does not promise its name).
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

PAGE, SECTOR = 4096, 512
_HEAD = struct.Struct("<cQQI")


class Step(NamedTuple):
    """One line of the journal that power_loss.c writes."""

    op: str
    inode: int
    offset: int
    data: bytes


def steps(journal: bytes) -> Iterator[Step]:
    """Yield what the process did, in order."""
    at = 0
    while at < len(journal):
        op, inode, offset, length = _HEAD.unpack_from(journal, at)
        at += _HEAD.size
        yield Step(op.decode(), inode, offset, journal[at : at + length])
        at += length


@dataclass(eq=False)
class File:
    """Bytes on the disk, and what came after them."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Step] = field(default_factory=list)

    def sync(self) -> None:
        """Bring everything so far to the disk."""
        for step in self.pending:
            _apply(self.synced, step)
        self.pending.clear()

    def after_cut(self, luck: "Luck") -> bytes:
        """Return what is there after a power cut."""
        there = bytearray(self.synced)
        pieces = [piece for step in self.pending for piece in _pieces(step)]
        reached = luck.versions([piece.offset // PAGE for piece in pieces if piece.op == "W"])
        for piece in pieces:
            if piece.op == "T":
                if luck.truncates:
                    _apply(there, piece)
                continue
            page = piece.offset // PAGE
            reached[page] -= 1
            if reached[page] >= 0:
                _apply(there, piece)
            elif reached[page] == -1:
                _apply(there, piece._replace(data=luck.torn(piece)))
        return bytes(there)


@dataclass(eq=False)
class Folder:
    """Names on the disk, names now, and the changes between the two."""

    synced: dict[str, "Node"] = field(default_factory=dict)
    now: dict[str, "Node"] = field(default_factory=dict)
    pending: list[tuple[str, "Node | None"]] = field(default_factory=list)

    def set(self, name: str, node: "Node | None") -> None:
        """Give a node a name, or take the name away."""
        _name(self.now, name, node)
        self.pending.append((name, node))

    def sync(self) -> None:
        """Bring these names to the disk."""
        self.synced = dict(self.now)
        self.pending.clear()

    def all_now(self) -> Iterator[tuple[str, "Node"]]:
        """Yield every name below, without the folders before it."""
        for name, node in self.now.items():
            yield name, node
            if isinstance(node, Folder):
                yield from node.all_now()

    def after_cut(self, luck: "Luck") -> dict[str, "Node"]:
        """Return the names that are there after a power cut."""
        there = dict(self.synced)
        for name, node in self.pending[: luck.prefix(len(self.pending))]:
            _name(there, name, node)
        return there


Node = File | Folder


class Luck:
    """What of the unsynced happens to reach the disk: nothing, everything, or any part of it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.kept = rng.choice((0.0, 1.0, rng.random(), rng.random()))
        self.truncates = rng.random() < 0.5

    @classmethod
    def without(cls) -> "Luck":
        """Make the luck with which exactly what was synced is there."""
        none = cls(Random(0))
        none.kept, none.truncates = 0.0, False
        return none

    def versions(self, pages: list[int]) -> dict[int, int]:
        """Draw for each page how many of its changes reached the disk."""
        totals: dict[int, int] = {}
        for page in pages:
            totals[page] = totals.get(page, 0) + 1
        return {page: self.prefix(total) for page, total in totals.items()}

    def prefix(self, total: int) -> int:
        """Draw how many of so many changes in order."""
        if self.rng.random() < self.kept:
            return total
        return self.rng.randint(0, total) if self.kept else 0

    def torn(self, piece: Step) -> bytes:
        """Return the sectors of a change that had been written when the light went out."""
        if not self.kept or self.rng.random() < 0.7:
            return b""
        first = SECTOR - piece.offset % SECTOR
        return piece.data[: first + SECTOR * self.rng.randint(0, PAGE // SECTOR - 1)]


class Disk:
    """The folder `root` as a process changes it, step by step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = Folder()
        self.by_inode: dict[int, Node] = {}
        self._load(root, self.top)

    def take(self, step: Step) -> None:
        """Take in one more thing that has happened."""
        if step.op in "WT":
            file = self.by_inode[step.inode]
            assert isinstance(file, File)
            file.pending.append(step)
        elif step.op == "S":
            if node := self.by_inode.get(step.inode):
                node.sync()
        elif step.op in "CD":
            node = self.by_inode[step.inode] = File() if step.op == "C" else Folder()
            self._set(step.data.decode(), node)
        elif step.op in "RLU":
            self._rename(step)

    def after_cut(self, luck: Luck, target: Path, only: str = "") -> None:
        """Write into an empty folder what is there after a power cut, of files that begin so."""
        _write(self.top, luck, target, {}, only)

    def name_of(self, inode: int) -> str:
        """Return the name that this file or folder has now; empty if it has none."""
        node = self.by_inode.get(inode)
        return next((name for name, one in self.top.all_now() if one is node), "")

    def whole(self, target: Path) -> None:
        """Write into an empty folder what is there without one."""
        for node in {id(node): node for node in self.by_inode.values()}.values():
            node.sync()
        self.after_cut(Luck(Random(0)), target)

    def _rename(self, step: Step) -> None:
        old, _, new = step.data.decode().partition("\0")
        node = self._find(old)
        if step.op in "RL":
            self._set(new, node)
        if step.op in "RU":
            self._set(old, None)

    def _find(self, path: str) -> Node:
        folder, name = self._place(path)
        return folder.now[name]

    def _set(self, path: str, node: Node | None) -> None:
        folder, name = self._place(path)
        folder.set(name, node)

    def _place(self, path: str) -> tuple[Folder, str]:
        *above, name = Path(path).relative_to(self.root).parts
        folder: Node = self.top
        for part in above:
            assert isinstance(folder, Folder)
            folder = folder.now[part]
        assert isinstance(folder, Folder)
        return folder, name

    def _load(self, path: Path, folder: Folder) -> None:
        self.by_inode[path.stat().st_ino] = folder
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.is_dir():
                below = folder.now[entry.name] = Folder()
                self._load(path / entry.name, below)
            elif not entry.name.endswith("-shm"):
                file = folder.now[entry.name] = File(bytearray(Path(entry).read_bytes()))
                self.by_inode[entry.inode()] = file
        folder.sync()


def _write(folder: Folder, luck: Luck, target: Path, known: dict[File, bytes], only: str) -> None:
    target.mkdir(exist_ok=True)
    for name, node in folder.after_cut(luck).items():
        if isinstance(node, Folder):
            _write(node, luck, target / name, known, only)
            continue
        if not name.startswith(only):
            continue
        if node not in known:
            known[node] = node.after_cut(luck)
        (target / name).write_bytes(known[node])


def _name(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _apply(content: bytearray, step: Step) -> None:
    end = step.offset + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if step.op == "T":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
    elif step.data:
        content[step.offset : end] = step.data


def _pieces(step: Step) -> Iterator[Step]:
    """Cut a write into its pages."""
    if step.op == "T":
        yield step
        return
    at = 0
    while at < len(step.data):
        room = PAGE - (step.offset + at) % PAGE
        yield step._replace(offset=step.offset + at, data=step.data[at : at + room])
        at += room
