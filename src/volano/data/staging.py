"""The folder that a run reads: one Parquet file a split, written segment by segment."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from volano.core.segments.parquet import Place
from volano.data.ingest import PAYLOAD
from volano.schemas.data import StagedTooLarge

SCHEMA = pa.schema(
    {
        "record_id": pa.string(),
        "label": pa.string(),
        "contributor": pa.string(),
        PAYLOAD: pa.binary(),
    }
)
SPLITS = ("train", "valid", "test")


def by_blob(lines: pa.Table, places: Mapping[str, Place]) -> Iterator[tuple[str, pa.Table]]:
    """Yield each blob with the lines of a manifest that it holds, rows counted from its start.

    They come by segment and then by record: merging segments, which are neighbours by their ids,
    changes nothing in that order.
    """
    for blob, run in groupby(_by_segment(lines), key=lambda one: places[one[0]].blob):
        yield blob, pa.concat_tables(_shifted(of, places[id].row) for id, of in run)


def _by_segment(lines: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    keys = [("segment", "ascending"), ("record", "ascending")]
    ordered = lines.take(pc.sort_indices(lines, sort_keys=keys))
    runs = pc.run_end_encode(ordered["segment"].combine_chunks())
    starts = [0, *runs.run_ends.to_pylist()]
    for id, (start, end) in zip(runs.values.to_pylist(), pairwise(starts), strict=True):
        yield id, ordered.slice(start, end - start)


def _shifted(lines: pa.Table, first: int) -> pa.Table:
    at = lines.schema.get_field_index("row")
    return lines.set_column(at, "row", pc.add(lines["row"], pa.scalar(first, pa.int32())))


class Writer:
    """Writes `<split>.parquet` files of SCHEMA into a folder, at most `limit` bytes of payload."""

    def __init__(self, folder: Path, limit: int, splits: Sequence[str] = SPLITS) -> None:
        self.limit, self.written = limit, 0
        self._files = {
            split: pq.ParquetWriter(folder / f"{split}.parquet", SCHEMA, compression="zstd")
            for split in splits
        }

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()

    def add(self, lines: pa.Table, segment: bytes) -> None:
        """Append the rows of one segment that `lines` (of a manifest) name.

        Raises: StagedTooLarge.
        """
        payloads = pq.read_table(io.BytesIO(segment), columns=[PAYLOAD])[PAYLOAD]
        for split, file in self._files.items():
            chosen = lines.filter(pc.equal(lines["split"], split))
            table = _staged(chosen, payloads)
            self.written += table.nbytes
            if self.written > self.limit:
                raise StagedTooLarge(limit=self.limit)
            if table.num_rows:
                file.write_table(table, row_group_size=1024)


def _staged(lines: pa.Table, payloads: pa.ChunkedArray) -> pa.Table:
    columns = [lines["record"], lines["label"], lines["contributor"], payloads.take(lines["row"])]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)
