"""Records of a snapshot read in batches, and the folder of a run: one Parquet file a split."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from volano.core.segments.parquet import Place
from volano.data.ingest import BLOB, FACTS, PAYLOAD, SPANS
from volano.data.kinds.kind import Span
from volano.schemas.data import StagedTooLarge

RECORD, LABEL, CONTRIBUTOR, MEDIA_TYPE, SPLIT = (
    "record_id",
    "label",
    "contributor",
    "media_type",
    "split",
)
SPLITS = ("train", "valid", "test")
FACTS_BESIDE = frozenset({RECORD, LABEL, CONTRIBUTOR, MEDIA_TYPE, SPLIT})
RESERVED = FACTS_BESIDE | {"attributes"}
"""What no field of a dataset is called: its values are a column beside these."""

BATCH_ROWS = 1024
BATCH_BYTES = 8 * 2**20

_OLD = "application/x-volano-strokes"  # of records from before others were kept
_decode_facts = msgspec.json.Decoder(dict[str, Any]).decode
_decode_spans = msgspec.json.Decoder(list[Span]).decode


def schema(fields: Sequence[str] = ()) -> pa.Schema:
    """Return the columns in which records are read; each of several fields is one of its own."""
    values = {name: pa.binary() for name in fields or (PAYLOAD,)}
    texts = {name: pa.string() for name in (RECORD, LABEL, CONTRIBUTOR)}
    return pa.schema({**texts, **values, MEDIA_TYPE: pa.string(), SPLIT: pa.string()})


def by_blob(lines: pa.Table, places: Mapping[str, Place]) -> Iterator[tuple[str, pa.Table]]:
    """Yield each blob with the lines of a manifest that it holds, rows counted from its start.

    They come by segment and then by record: merging segments, which are neighbours by their ids,
    changes nothing in that order.
    """
    for blob, run in groupby(_by_segment(lines), key=lambda one: places[one[0]].blob):
        yield blob, pa.concat_tables(_shifted(of, places[id].row) for id, of in run)


def without(lines: pa.Table, gone: Collection[tuple[str, str]]) -> pa.Table:
    """Return the lines but those of deleted records, by their ids and segments."""
    if not gone:
        return lines
    keys = pc.binary_join_element_wise(lines["record"], lines["segment"], "/")
    return lines.filter(pc.invert(pc.is_in(keys, pa.array([*map("/".join, gone)], pa.string()))))


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


class Held(NamedTuple):
    """What a segment holds of one line of a manifest."""

    line: dict[str, Any]
    payload: bytes
    blob: str | None
    media_type: str
    spans: list[Span]


def held(lines: pa.Table, segment: bytes) -> Iterator[Held]:
    """Yield what a segment holds of the lines, in their order, without what stands in blobs."""
    file = pq.ParquetFile(io.BytesIO(segment))
    there = [name for name in (PAYLOAD, BLOB, FACTS, SPANS) if name in file.schema_arrow.names]
    rows = file.read(columns=there).take(lines["row"])
    shown = lines.select(["record", "label", "contributor", "split"])
    for batch, beside in zip(
        rows.to_batches(BATCH_ROWS), shown.to_batches(BATCH_ROWS), strict=True
    ):
        for line, row in zip(beside.to_pylist(), batch.to_pylist(), strict=True):
            facts, spans = row.get(FACTS), row.get(SPANS)
            media_type = _decode_facts(facts).get(MEDIA_TYPE) if facts else None
            yield Held(
                line,
                row[PAYLOAD],
                row.get(BLOB),
                media_type or _OLD,
                _decode_spans(spans) if spans else [],
            )


class Batches:
    """Gathers records into batches of a schema, bounded in rows and bytes."""

    def __init__(self, made: pa.Schema) -> None:
        self.schema = made
        self._columns: dict[str, list[Any]] = {name: [] for name in made.names}
        self._size = self._rows = 0
        self.has_values = bool(set(made.names) - FACTS_BESIDE)
        """Whether payloads are among the columns."""

    @property
    def is_full(self) -> bool:
        """True if a batch should be taken."""
        return self._size >= BATCH_BYTES or self._rows >= BATCH_ROWS

    def add(self, one: Held, payload: bytes) -> None:
        """Add a record with its whole payload."""
        values: dict[str, Any] = {
            RECORD: one.line["record"],
            LABEL: one.line["label"],
            CONTRIBUTOR: one.line["contributor"],
            SPLIT: one.line["split"],
            MEDIA_TYPE: one.media_type,
            PAYLOAD: payload,
        }
        for span in one.spans:
            values[span.name] = span.of(payload)
        for name, column in self._columns.items():
            column.append(values.get(name))
        self._size += len(payload)
        self._rows += 1

    def take(self) -> pa.RecordBatch:
        """Return what was gathered, and begin anew."""
        batch = pa.record_batch(self._columns, schema=self.schema)
        self._columns = {name: [] for name in self.schema.names}
        self._size = self._rows = 0
        return batch


class Writer:
    """Writes `<split>.parquet` files into a folder, at most `limit` bytes of records."""

    def __init__(
        self, folder: Path, limit: int, made: pa.Schema, splits: Sequence[str] = SPLITS
    ) -> None:
        self.limit, self.written = limit, 0
        kept = pa.schema([field for field in made if field.name != SPLIT])
        self._files = {
            split: pq.ParquetWriter(folder / f"{split}.parquet", kept, compression="zstd")
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

    def add(self, batch: pa.RecordBatch) -> None:
        """Append records, each to the file of its split.

        Raises: StagedTooLarge.
        """
        for split, file in self._files.items():
            chosen = batch.filter(pc.equal(batch[SPLIT], split)).drop_columns([SPLIT])
            self.written += chosen.nbytes
            if self.written > self.limit:
                raise StagedTooLarge(limit=self.limit)
            if chosen.num_rows:
                file.write_batch(chosen, row_group_size=BATCH_ROWS)
