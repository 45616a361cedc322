"""Staged pictures come whole and in order, and are divided the same way at every call."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.pictures import KINDS, stage, write
from volano.data.formats import pixels
from volano.schemas.harness import NoRecords
from volano.schemas.registry import ImageSpec
from volano.training.recipes.image import staged
from volano.training.recipes.image.staged import Images

SPEC = ImageSpec(height=8, width=10, channels=3, fit="letterbox")


@pytest.mark.parametrize("threads", [1, 3])
def test_splits_are_read_one_after_the_other(tmp_path: Path, threads: int) -> None:
    data = stage(tmp_path, {"train": 100, "valid": 2})
    found = Images.read(data, ("train", "valid"), KINDS, SPEC, threads=threads)
    rows = [r for s in ("train", "valid") for r in pq.read_table(data / f"{s}.parquet").to_pylist()]

    assert found.sizes == (300, 6)
    assert found.record_ids == [row["record_id"] for row in rows]
    assert [KINDS[i] for i in found.truth] == [row["label"] for row in rows]
    assert isinstance(found.pixels, np.memmap)
    for at in (0, 299, 305):
        expected = pixels.load(rows[at]["payload"], 8, 10, 3, "letterbox")
        np.testing.assert_array_equal(found.pixels[at], expected)


def test_a_stream_comes_in_parts(tmp_path: Path) -> None:
    data = stage(tmp_path, {"test": 100})
    parts = list(Images.stream(data, "test", KINDS, SPEC))
    assert [len(part) for part in parts] == [staged.READ, 300 - staged.READ]


def test_a_split_without_a_picture_that_can_be_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", [("disc", b"no picture")])
    with pytest.raises(NoRecords):
        Images.read(tmp_path, ("train",), KINDS, SPEC)


def test_a_tenth_of_each_class_is_held_out_and_always_the_same(tmp_path: Path) -> None:
    data = stage(tmp_path, {"train": 40})
    images = Images.read(data, ("train",), KINDS, SPEC)
    learn, valid = staged.divided(images)
    again = staged.divided(Images.read(data, ("train",), KINDS, SPEC))

    assert np.bincount(images.truth[valid]).tolist() == [4, 4, 4]
    assert sorted([*learn, *valid]) == list(range(120))
    np.testing.assert_array_equal(again[1], valid)


@pytest.mark.parametrize(("each", "held"), [(1, 3), (2, 3), (3, 3), (19, 3), (20, 6)])
def test_small_classes_keep_most_of_their_pictures(tmp_path: Path, each: int, held: int) -> None:
    images = Images.read(stage(tmp_path, {"train": each}), ("train",), KINDS, SPEC)
    learn, valid = staged.divided(images)
    assert len(valid) == held
    assert set(images.truth[learn]) == {0, 1, 2}
