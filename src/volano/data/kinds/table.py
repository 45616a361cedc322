"""Rows of a table: CSV, Parquet or JSON come in, JSON of one row a line is stored."""

import csv
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from volano.data.kinds.kind import Kind, Preview, Reading, rate, text_document
from volano.schemas.data import Quality
from volano.schemas.datasets import ContentUnreadable, Facts

MEDIA_TYPE = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
_BOM = b"\xef\xbb\xbf"
_SHOWN = 20  # rows of a preview
_MOST_ROWS = 1_000_000

Rows = list[dict[str, Any]]


def read(data: bytes, media_type: str) -> Reading:
    """Read a table of one row or many, each with the columns that it names.

    Raises: ContentUnreadable.
    """
    parse = _PARSERS.get(media_type) or (_parquet if data[:4] == b"PAR1" else _csv)
    try:
        rows = parse(data.removeprefix(_BOM))
    except (msgspec.MsgspecError, pa.ArrowException, ValueError) as error:
        raise ContentUnreadable(kind="table", reason=str(error)) from None
    if not 1 <= len(rows) <= _MOST_ROWS:
        reason = f"{len(rows)} rows, and not 1 to {_MOST_ROWS}"
        raise ContentUnreadable(kind="table", reason=reason)
    columns = dict.fromkeys(name for row in rows for name in row)
    payload = b"\n".join(map(msgspec.json.encode, rows)) + b"\n"
    return Reading(payload, {"media_type": MEDIA_TYPE, "rows": len(rows), "columns": len(columns)})


def _csv(data: bytes) -> Rows:
    rows: Rows = pa.csv.read_csv(io.BytesIO(data)).to_pylist()
    return rows


def _parquet(data: bytes) -> Rows:
    held = pq.ParquetFile(io.BytesIO(data))
    if held.metadata.num_rows > _MOST_ROWS:
        raise ValueError(f"{held.metadata.num_rows} rows, more than {_MOST_ROWS}")
    rows: Rows = held.read().to_pylist()
    return rows


def _json(data: bytes) -> Rows:
    given = msgspec.json.decode(data, type=dict[str, Any] | list[dict[str, Any]])
    return given if isinstance(given, list) else [given]


def _json_lines(data: bytes) -> Rows:
    return [msgspec.json.decode(line, type=dict[str, Any]) for line in data.splitlines() if line]


_PARSERS: dict[str, Callable[[bytes], Rows]] = {
    "application/json": _json,
    MEDIA_TYPE: _json_lines,
    "application/jsonl": _json_lines,
    PARQUET: _parquet,
}


def preview(payload: bytes, size_px: int) -> Preview:
    """Return the first rows as CSV."""
    rows = _json_lines(b"\n".join(payload.splitlines()[:_SHOWN]))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    made = io.StringIO()
    writer = csv.DictWriter(made, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Preview("text/plain; charset=utf-8", made.getvalue().encode())


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate a table by the cells that have a value; one that is a blob is not looked into."""
    rows = _json_lines(payload)
    cells = [value for row in rows for value in row.values()]
    filled = sum(value is not None for value in cells) / len(cells) if cells else 1.0
    return rate(("filled", filled, f"{filled:.0%} of the cells have a value"))


TABLE = Kind(
    name="table",
    media_types=("text/csv", PARQUET, "application/json", MEDIA_TYPE, "application/jsonl"),
    read=read,
    preview=preview,
    score=score,
    document=text_document,
    is_text=True,
)
