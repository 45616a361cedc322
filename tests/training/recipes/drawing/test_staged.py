"""Staged drawings come back whole, in order, and in parts."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.drawings import SHAPES, stage
from volano.data.formats.line_segments import MAX_SEGMENTS, segments
from volano.data.formats.strokes import decode
from volano.schemas.drawings import CodecError
from volano.schemas.harness import NoRecords
from volano.training.recipes.drawing import staged
from volano.training.recipes.drawing.staged import Drawings

CLASSES = sorted(SHAPES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return stage(tmp_path, {"train": 230, "valid": 2, "test": 0})


def test_splits_are_read_one_after_the_other(data: Path) -> None:
    found = Drawings.read(data, ("train", "valid"), CLASSES)
    assert found.sizes == (230 * 5, 2 * 5)
    assert len(found) == sum(found.sizes)
    rows = [r for s in ("train", "valid") for r in pq.read_table(data / f"{s}.parquet").to_pylist()]
    assert [CLASSES[i] for i in found.truth] == [row["label"] for row in rows]
    for at in (0, 1100, len(rows) - 1):
        expected = segments(decode(rows[at]["payload"]))
        np.testing.assert_array_equal(found.segments[at, : found.count[at]], expected)
        assert not found.segments[at, found.count[at] :].any()


def test_a_stream_comes_in_parts_with_the_records_ids(data: Path) -> None:
    parts = list(Drawings.stream(data, "train", CLASSES))
    assert [len(part) for part in parts] == [staged.READ, 230 * 5 - staged.READ]
    expected = pq.read_table(data / "train.parquet")["record_id"].to_pylist()
    assert [record for part in parts for record in part.record_ids] == expected
    assert parts[0].segments.shape == (staged.READ, MAX_SEGMENTS, 4)


def test_what_was_read_lies_in_a_file_that_the_system_may_write_out(data: Path) -> None:
    assert isinstance(Drawings.read(data, ("valid",), CLASSES).segments, np.memmap)


def test_a_part_of_drawings_is_drawings(data: Path) -> None:
    whole = Drawings.read(data, ("train", "valid"), CLASSES)
    valid = whole[whole.sizes[0] :]
    assert len(valid) == 10
    np.testing.assert_array_equal(valid.truth, whole.truth[-10:])


def test_an_empty_split_is_refused(data: Path) -> None:
    with pytest.raises(NoRecords):
        next(Drawings.stream(data, "test", CLASSES))


def test_a_payload_that_is_no_drawing_is_refused(tmp_path: Path) -> None:
    data = stage(tmp_path, {"train": 1})
    table = pq.read_table(data / "train.parquet")
    broken = table.set_column(3, table.schema.field(3), [[b"\x01\x00"] * table.num_rows])
    pq.write_table(broken, data / "train.parquet")
    with pytest.raises(CodecError):
        Drawings.read(data, ("train",), CLASSES)
