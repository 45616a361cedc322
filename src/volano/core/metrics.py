"""Figures about a running server: counters, gauges and latency histograms, summed over processes.

Each process maps one file of a folder and adds into its cells without a lock or a system call; who
is asked for `/metrics` sums the files. A process that starts takes over the file of one that has
ended, so counts outlive a restart and the folder does not grow.
"""

import fcntl
import mmap
import threading
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path
from typing import IO, ClassVar, Final, Literal, NamedTuple, TypeVar

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
F = TypeVar("F", bound="Family")

MOST_SERIES = 200
"""Label combinations of one family; whatever comes later is counted together as `other`."""

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of a histogram's buckets, s; then infinity. Each is a line for each series."""

_MAGIC = b"VOLMET02"
_KEYS_AT, _KEYS = 64, 256 * 1024
_CELLS_AT, _CELLS = _KEYS_AT + _KEYS, 32 * 1024
_SIZE = _CELLS_AT + 8 * _CELLS
_WIDTH: dict[Kind, int] = {"counter": 1, "gauge": 1, "histogram": len(BOUNDS) + 2}


@dataclass(slots=True)
class Family:
    """One named figure with its label names; the cells of its series are found by label values."""

    kind: ClassVar[Kind]

    cells: "Cells"
    name: str
    help: str
    labels: Labels
    series: dict[Labels, int] = field(default_factory=dict)

    def cell(self, values: Labels) -> int:
        """Return the index of the first cell of a series."""
        at = self.series.get(values)
        return self._new(values) if at is None else at

    def _new(self, values: Labels) -> int:
        if len(values) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}, not {values}")
        if len(self.series) >= MOST_SERIES and (values := ("other",) * len(values)) in self.series:
            return self.series[values]
        return self.series.setdefault(values, self.cells.allocate(self, values))


class Counter(Family):
    """Counts what happened; never goes down."""

    kind: ClassVar[Kind] = "counter"

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count one more, or `by` more."""
        self.cells.values[self.cell(labels)] += by


class Gauge(Family):
    """A level; the levels of all processes are added."""

    kind: ClassVar[Kind] = "gauge"

    def set(self, value: float, *labels: str) -> None:
        """Set the level of this process."""
        self.cells.values[self.cell(labels)] = value

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Raise the level of this process, or lower it."""
        self.cells.values[self.cell(labels)] += by


class Histogram(Family):
    """How long things take: buckets that merge by addition (128 ns an observation)."""

    kind: ClassVar[Kind] = "histogram"

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one that took so long."""
        at = self.series.get(labels)
        if at is None:
            at = self.cell(labels)
        values = self.cells.values
        values[at + bisect_left(BOUNDS, seconds)] += 1.0
        values[at + len(BOUNDS) + 1] += seconds


class Cells:
    """The numbers of one process, in a mapped file or (path None) in memory alone."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self.file = file
        self.memory = mmap.mmap(file.fileno() if file else -1, _SIZE)
        whole = memoryview(self.memory)
        self.values: memoryview[float] = whole[_CELLS_AT:].cast("d")
        self._used = whole[8:24].cast("Q")
        self._lock = threading.Lock()
        if self.memory[:8] != _MAGIC:
            self.memory[:] = _MAGIC.ljust(_SIZE, b"\0")
        # The first cells belong to no series: figures go there once the file is full.
        self._used[1] = max(self._used[1], _WIDTH["histogram"])

    def allocate(self, family: Family, values: Labels) -> int:
        """Return the first cell of a new series; the spill cells when there is no room left."""
        with self._lock:
            used, at = self._used
            key = _Key(family.name, family.kind, family.help, family.labels, values, at)
            line = msgspec.json.encode(key) + b"\n"
            if used + len(line) > _KEYS or at + _WIDTH[family.kind] > _CELLS:
                return 0
            self.memory[_KEYS_AT + used : _KEYS_AT + used + len(line)] = line
            # Readers look at the length first, so the line is whole before it counts.
            self._used[1] = at + _WIDTH[family.kind]
            self._used[0] = used + len(line)
            return at


class Level(NamedTuple):
    """A figure of the whole server and not of one process, looked up when it is asked for."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}
    kind: Kind = "gauge"


class _Series(NamedTuple):
    """One family with one combination of label values."""

    name: str
    kind: Kind
    help: str
    labels: Labels
    values: Labels


class _Key(msgspec.Struct, frozen=True, array_like=True):
    """One series as a file names it, and where its cells begin."""

    name: str
    kind: Kind
    help: str
    labels: Labels
    values: Labels
    cell: int

    @property
    def series(self) -> _Series:
        return _Series(self.name, self.kind, self.help, self.labels, self.values)

    def of(self, name: str, kind: Kind, labels: Labels) -> bool:
        """Return whether this is a series of the family."""
        return (self.name, self.kind, self.labels) == (name, kind, labels)


_key_decoder = msgspec.json.Decoder(_Key)


class Metrics:
    """All figures of this process; `exposition` adds those of its siblings."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.cells = Cells(_own_file(folder) if folder else None)
        self.families: dict[str, Family] = {}
        self._inherited = self._resume()

    def counter(self, name: str, help: str, labels: Labels = ()) -> Counter:
        """Return the counter of this name, made on first use; names end in `_total`."""
        return self._family(Counter, name, help, labels)

    def gauge(self, name: str, help: str, labels: Labels = ()) -> Gauge:
        """Return the gauge of this name, made on first use."""
        return self._family(Gauge, name, help, labels)

    def histogram(self, name: str, help: str, labels: Labels = ()) -> Histogram:
        """Return the histogram of this name, made on first use; names end in `_seconds`."""
        return self._family(Histogram, name, help, labels)

    def exposition(self, levels: Iterable[Level] = ()) -> str:
        """Return the sums over all processes, and `levels`, in the text format of Prometheus."""
        of_all = {
            _Series(one.name, one.kind, one.help, tuple(one.labels), tuple(one.labels.values())): [
                one.value
            ]
            for one in levels
        }
        return "".join(_render(self._sums() | of_all))

    def close(self) -> None:
        """Close the file; what was counted stays in it."""
        if self.cells.file:
            self.cells.file.close()

    def _family(self, cls: type[F], name: str, help: str, labels: Labels) -> F:
        series = {k.values: k.cell for k in self._inherited if k.of(name, cls.kind, labels)}
        known = self.families.setdefault(name, cls(self.cells, name, help, labels, series))
        if not isinstance(known, cls) or known.labels != labels:
            raise TypeError(f"{name} is a {known.kind} with the labels {known.labels} already")
        return known

    def _resume(self) -> "list[_Key]":
        """Return the series of the file's last owner, to go on counting; set its levels to 0."""
        keys = _keys(self.cells.memory)
        for key in keys:
            if key.kind == "gauge":
                self.cells.values[key.cell] = 0.0
        return keys

    def _sums(self) -> "dict[_Series, list[float]]":
        sums: dict[_Series, list[float]] = {}
        for memory, alive in self._memories():
            values = array("d", memory[_CELLS_AT:])
            for key in _keys(memory):
                if (alive or key.kind != "gauge") and self._fits(key):
                    cells = values[key.cell : key.cell + _WIDTH[key.kind]]
                    known = sums.get(series := key.series, [0.0] * len(cells))
                    sums[series] = [a + b for a, b in zip(known, cells, strict=True)]
        return sums

    def _fits(self, key: "_Key") -> bool:
        """Return False for a figure of the same name from before an upgrade."""
        known = self.families.get(key.name)
        return known is None or key.of(known.name, known.kind, known.labels)

    def _memories(self) -> Iterator[tuple[mmap.mmap, bool]]:
        """Yield the cells of every process, and whether it is still running."""
        yield self.cells.memory, True
        own = self.cells.file.name if self.cells.file else ""
        for path in sorted(self.folder.glob("*.cells")) if self.folder else ():
            # A process that was killed while it began its file leaves one that is too short.
            if str(path) != own and path.stat().st_size >= _SIZE:
                with path.open("rb") as file:
                    alive = not _locked(file, fcntl.LOCK_SH)
                    with mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ) as memory:
                        if memory[:8] == _MAGIC:  # else of another version, or only begun
                            yield memory, alive


def _own_file(folder: Path) -> IO[bytes]:
    """Open the first file of the folder that no running process holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        path = folder / f"{number}.cells"
        path.touch()
        file = path.open("r+b")
        if _locked(file, fcntl.LOCK_EX):
            file.truncate(_SIZE)
            return file
        file.close()
    raise AssertionError("count() does not end")


def _locked(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keys(memory: mmap.mmap) -> list[_Key]:
    used = int.from_bytes(memory[8:16], "little")
    lines = memory[_KEYS_AT : _KEYS_AT + used].splitlines()
    return [_key_decoder.decode(line) for line in lines]


def _render(sums: dict[_Series, list[float]]) -> Iterator[str]:
    families: defaultdict[str, list[_Series]] = defaultdict(list)
    for series in sums:
        families[series.name].append(series)
    for name, members in sorted(families.items()):
        yield f"# HELP {name} {_escaped(members[0].help)}\n# TYPE {name} {members[0].kind}\n"
        for series in sorted(members, key=lambda one: one.values):
            yield from _lines(series, sums[series])


def _lines(series: _Series, cells: list[float]) -> Iterator[str]:
    pairs = [f'{n}="{_escaped(v)}"' for n, v in zip(series.labels, series.values, strict=True)]
    if series.kind != "histogram":
        yield f"{series.name}{_braces(pairs)} {cells[0]:.15g}\n"
        return
    edges = [*(f"{bound:.6g}" for bound in BOUNDS), "+Inf"]
    totals = list(accumulate(cells[:-1]))
    for edge, total in zip(edges, totals, strict=True):
        labels = _braces([*pairs, f'le="{edge}"'])
        yield f"{series.name}_bucket{labels} {total:.15g}\n"
    yield f"{series.name}_sum{_braces(pairs)} {cells[-1]:.15g}\n"
    yield f"{series.name}_count{_braces(pairs)} {totals[-1]:.15g}\n"


def _braces(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
