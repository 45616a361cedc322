"""Parquet segments: written whole, read one row by one ranged read once the footer is known.

Pure but for the `Segments` reader, which keeps footers of recently read segments in memory.
"""

from __future__ import annotations

import asyncio
import io
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from volano.core.blobs import Blobs

ROW_GROUP = 1024
"""Most rows of a row group: measured 0.4 ms to read one of drawings, 206 B a drawing on disk."""
GROUP_BYTES = 2**20
"""Most bytes of a row group in memory, on average: to read one row of large ones, so much is."""

WRITTEN = {
    "compression": "zstd",
    "compression_level": 6,
    "use_dictionary": False,
    "store_schema": False,
}
"""How every file is written, so that equal tables have equal bytes."""

_TAIL = 64 * 1024  # covers the footer of a segment of some 50 row groups in the first read
_TRAILER = 8  # footer length and the magic "PAR1"


def encode(table: pa.Table, *, group: int = ROW_GROUP) -> bytes:
    """Return the table as a Parquet file (zstd, at most `group` rows a group), equal for equals."""
    fitting = GROUP_BYTES * table.num_rows // max(1, table.nbytes)
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=max(1, min(group, fitting)), **WRITTEN)
    return sink.getvalue()


def join(parts: Sequence[pa.Table], key: str = "") -> pa.Table:
    """Return the rows of all parts in their order, or by `key` where that is given.

    A column that only later parts have is null in the others.
    """
    whole = pa.concat_tables(parts, promote_options="default")
    return whole.sort_by(key) if key else whole


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a row stands: the segment's blob, its size in bytes, the row's number in it."""

    blob: str
    size: int
    row: int


class Segments:
    """Reads rows out of segments, whose footers stay in memory: `footers` bytes of them as stored
    (some times that as they are held)."""

    def __init__(self, blobs: Blobs, *, footers: int = 32 * 2**20) -> None:
        self.blobs = blobs
        self._room = footers
        self._footers: OrderedDict[tuple[str, str], pq.FileMetaData] = OrderedDict()

    async def value(self, workspace: str, place: Place, column: str) -> bytes:
        """Return one value of a binary column, by one ranged read of its row group's chunk.

        Raises: BlobMissing, IndexError (no such row: a bug, not an input).
        """
        found = await self.rows(workspace, place.blob, place.size, [place.row], [column])
        value: bytes = found[column][0].as_py()
        return value

    async def rows(
        self, workspace: str, blob: str, size: int, numbers: Sequence[int], columns: Sequence[str]
    ) -> pa.Table:
        """Return columns of the rows with these numbers, ascending; read each row group once.

        Raises: BlobMissing, IndexError (no such row: a bug, not an input).
        """
        footer = await self._footer(workspace, Place(blob, size, 0))
        most = footer.row_group(0).num_rows  # of every group but the last, which may have fewer
        parts = []
        for group, rows in groupby(numbers, key=lambda number: number // most):
            one = range(group, group + 1)
            held = await self._groups(workspace, blob, size, footer, one, columns)
            parts.append(held.take([number % most for number in rows]))
        return pa.concat_tables(parts)

    async def lookup(
        self, workspace: str, blob: str, size: int, *, key: str, column: str = "id"
    ) -> dict[str, Any] | None:
        """Return the row whose `column` is `key`, in a segment sorted by it; None without one.

        One ranged read of the row group that may hold it, found by statistics.
        """
        footer = await self._footer(workspace, Place(blob, size, 0))
        index = footer.schema.names.index(column)
        group = bisect_left(range(footer.num_row_groups), key, key=_last_of(footer, index))
        if group == footer.num_row_groups or _statistics(footer, group, index).min > key:
            return None
        rows = await self._groups(workspace, blob, size, footer, range(group, group + 1))
        found = rows.filter(pc.equal(rows[column], key)).slice(0, 1).to_pylist()
        return found[0] if found else None

    async def following(
        self, workspace: str, blob: str, size: int, *, key: str, column: str, limit: int
    ) -> pa.Table:
        """Return the first `limit` rows after `key` in a segment that is sorted by `column`.

        One ranged read of the row groups that hold them, however large the segment is.
        """
        footer = await self._footer(workspace, Place(blob, size, 0))
        last = _last_of(footer, footer.schema.names.index(column))
        first = end = bisect_right(range(footer.num_row_groups), key, key=last)
        held = 0  # of the first group some rows may not come after the key
        while end < footer.num_row_groups and held < limit:
            held += footer.row_group(end).num_rows if end > first else 0
            end += 1
        if first == end:
            return footer.schema.to_arrow_schema().empty_table()
        rows = await self._groups(workspace, blob, size, footer, range(first, end))
        return rows.filter(pc.greater(rows[column], key)).slice(0, limit)

    async def _groups(
        self,
        workspace: str,
        blob: str,
        size: int,
        footer: pq.FileMetaData,
        groups: range,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        names = footer.schema.names
        indices = [names.index(name) for name in names if columns is None or name in columns]
        chunks = [_chunk(footer, group, index) for group in groups for index in indices]
        start = min(chunk[0] for chunk in chunks)
        length = max(chunk[0] + chunk[1] for chunk in chunks) - start
        data = await self.blobs.get_range(workspace, blob, start, length)
        file = pq.ParquetFile(_Window(size, start, data), metadata=footer)
        return await asyncio.to_thread(file.read_row_groups, list(groups), columns)

    async def batches(
        self, workspace: str, blob: str, columns: Iterable[str]
    ) -> AsyncIterator[pa.RecordBatch]:
        """Yield the segment's rows in order, a row group at a time; the file is read once."""
        file = pq.ParquetFile(io.BytesIO(await self.blobs.get(workspace, blob)))
        for group in range(file.num_row_groups):
            for batch in file.read_row_group(group, columns=list(columns)).to_batches():
                yield batch

    async def _footer(self, workspace: str, place: Place) -> pq.FileMetaData:
        key = (workspace, place.blob)
        if key in self._footers:
            self._footers.move_to_end(key)
            return self._footers[key]
        footer = self._footers[key] = await self._read_footer(workspace, place)
        held = sum(footer.serialized_size for footer in self._footers.values())
        while held > self._room and len(self._footers) > 1:
            held -= self._footers.popitem(last=False)[1].serialized_size
        return footer

    async def _read_footer(self, workspace: str, place: Place) -> pq.FileMetaData:
        start = max(0, place.size - _TAIL)
        tail = await self.blobs.get_range(workspace, place.blob, start, place.size - start)
        needed = int.from_bytes(tail[-_TRAILER:-4], "little") + _TRAILER
        if needed > len(tail):
            start = place.size - needed
            tail = await self.blobs.get_range(workspace, place.blob, start, needed)
        return pq.read_metadata(_Window(place.size, start, tail))


def _statistics(footer: pq.FileMetaData, group: int, column: int) -> pq.Statistics:
    return footer.row_group(group).column(column).statistics


def _last_of(footer: pq.FileMetaData, column: int) -> Callable[[int], Any]:
    """Return a function that tells the largest value of a column in the row group of a number."""
    return lambda group: _statistics(footer, group, column).max


def _chunk(footer: pq.FileMetaData, group: int, column: int) -> tuple[int, int]:
    chunk = footer.row_group(group).column(column)
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return start, chunk.total_compressed_size


class _Window(io.RawIOBase):
    """A file of `size` bytes of which only one window is at hand: what Parquet will ask for."""

    def __init__(self, size: int, start: int, data: bytes) -> None:
        self.size, self.start, self.data = size, start, data
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = origin + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self.size, self.position + size)
        if self.position < self.start or end > self.start + len(self.data):
            raise EOFError(f"bytes {self.position}-{end} are outside the window")
        data = self.data[self.position - self.start : end - self.start]
        self.position = end
        return data
