"""The folder of a run: what was frozen comes back, and no more than is allowed."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volano.core.segments.parquet import Place, encode
from volano.data.staging import SPLITS, Batches, Writer, by_blob, held, schema
from volano.schemas.data import StagedTooLarge

_SPLIT_LISTS = st.lists(st.sampled_from(SPLITS), min_size=1, max_size=40)


def _lines(splits: list[str], rows: list[int] | None = None) -> pa.Table:
    """Lines of a manifest for the rows (all, in order, if none are given) of one segment."""
    rows = list(range(len(splits))) if rows is None else rows
    return pa.table(
        {
            "record": [f"record {row}" for row in rows],
            "label": [f"label {row % 3}" for row in rows],
            "contributor": [f"drawer {row % 5}" for row in rows],
            "split": splits,
            "row": pa.array(rows, pa.int32()),
        }
    )


def _segment(rows: int) -> bytes:
    return encode(pa.table({"id": list(map(str, range(rows))), "payload": _payloads(rows)}))


def _payloads(rows: int) -> list[bytes]:
    return [f"payload {row}".encode() for row in range(rows)]


PLACED = st.lists(
    st.tuples(st.uuids(), st.integers(0, 9), st.integers(0, 99)),
    min_size=1,
    max_size=60,
    unique_by=lambda placed: placed[0],
)


@given(PLACED, st.sets(st.integers(1, 9)))
def test_merged_segments_give_the_same_lines_in_the_same_order(
    placed: list[tuple[UUID, int, int]], cuts: set[int]
) -> None:
    lines = pa.table(
        {
            "record": sorted(str(record) for record, _, _ in placed),
            "segment": [f"seg_{segment}" for _, segment, _ in placed],
            "row": pa.array([row for _, _, row in placed], pa.int32()),
        }
    )
    whole = [sum(cut <= segment for cut in cuts) for segment in range(10)]
    apart = {f"seg_{n}": Place(f"b3_{n}", 1, 0) for n in range(10)}
    merged = {f"seg_{n}": Place(f"b3_{whole[n]}", 1, 100 * n) for n in range(10)}
    before = [(line["record"], line["segment"], line["row"]) for line in _rows(lines, apart)]
    after = [(line["record"], line["segment"], line["row"]) for line in _rows(lines, merged)]
    assert [(id, of, row + 100 * int(of[-1])) for id, of, row in before] == after
    assert sorted(before) == sorted(zip(*lines.to_pydict().values(), strict=True))
    blobs = [blob for blob, _ in by_blob(lines, merged)]
    assert len(set(blobs)) == len(blobs)


def _rows(lines: pa.Table, places: dict[str, Place]) -> list[dict[str, Any]]:
    return [line for _, run in by_blob(lines, places) for line in run.to_pylist()]


def _add(writer: Writer, lines: pa.Table, segment: bytes) -> None:
    """Write what a segment holds of the lines, as staging does."""
    batches = Batches(schema())
    for one in held(lines, segment):
        batches.add(one, one.payload)
    writer.add(batches.take())


def _staged(folder: Path, split: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(folder / f"{split}.parquet").to_pylist()
    return rows


@settings(max_examples=25)
@given(_SPLIT_LISTS)
def test_every_line_lands_in_its_split_with_its_own_payload(
    tmp_path_factory: pytest.TempPathFactory, splits: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("staged")
    with Writer(folder, 10**6, schema()) as writer:
        _add(writer, _lines(splits), _segment(len(splits)))
    for split in SPLITS:
        expected = [f"record {n}" for n, name in enumerate(splits) if name == split]
        found = _staged(folder, split)
        assert [row["record_id"] for row in found] == expected
        assert all(row["payload"] == f"payload {_number(row)}".encode() for row in found)


def _number(row: dict[str, object]) -> str:
    return str(row["record_id"]).removeprefix("record ")


def test_several_segments_come_one_after_the_other(tmp_path: Path) -> None:
    with Writer(tmp_path, 10**6, schema()) as writer:
        _add(writer, _lines(["train", "train"], [7, 3]), _segment(8))
        _add(writer, _lines(["train"], [0]), _segment(1))
    assert [row["payload"] for row in _staged(tmp_path, "train")] == [
        b"payload 7",
        b"payload 3",
        b"payload 0",
    ]


def test_a_split_without_records_is_an_empty_file(tmp_path: Path) -> None:
    with Writer(tmp_path, 10**6, schema()) as writer:
        _add(writer, _lines(["train"]), _segment(1))
    names = pq.read_schema(tmp_path / "test.parquet").names
    assert names == ["record_id", "label", "contributor", "payload", "media_type"]
    assert _staged(tmp_path, "test") == []


def test_more_than_a_run_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StagedTooLarge) as refused, Writer(tmp_path, 1000, schema()) as writer:
        for _ in range(20):
            _add(writer, _lines(["train"] * 9), _segment(9))
    assert refused.value.facts["limit"] == 1000
    assert writer.written < 2000
