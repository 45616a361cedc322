"""What staged files say about their labels, whatever splits and labels are missing."""

from pathlib import Path

import pyarrow.parquet as pq

from tests.training.drawings import SHAPES, stage
from volano.training import staged


def test_the_labels_of_each_split_are_counted(tmp_path: Path) -> None:
    data = stage(tmp_path, {"train": 230, "valid": 2, "test": 0})
    assert staged.label_counts(data) == {
        "train": dict.fromkeys(SHAPES, 230),
        "valid": dict.fromkeys(SHAPES, 2),
        "test": {},
    }


def test_records_without_a_label_are_counted_by_themselves(tmp_path: Path) -> None:
    data = stage(tmp_path, {"train": 2, "valid": 1}, ["circle", "cross"])
    table = pq.read_table(data / "train.parquet")
    labels = ["", "circle", "cross", ""]
    pq.write_table(table.set_column(1, table.schema.field(1), [labels]), data / "train.parquet")

    assert staged.label_counts(data)["train"] == {"circle": 1, "cross": 1}
    assert staged.count_unlabelled(data) == 2


def test_a_split_without_a_file_is_empty(tmp_path: Path) -> None:
    data = stage(tmp_path, {"train": 1}, ["circle"])
    assert staged.label_counts(data) == {"train": {"circle": 1}, "valid": {}, "test": {}}
