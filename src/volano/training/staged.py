"""What the staged files of a snapshot say about their labels."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from volano.schemas.harness import NoRecords

SPLITS = ("train", "valid", "test")


def size(folder: Path, split: str) -> int:
    """Return how many records a split has.

    Raises: NoRecords.
    """
    rows = int(pq.read_metadata(folder / f"{split}.parquet").num_rows)
    if not rows:
        raise NoRecords(split=split)
    return rows


def label_counts(folder: Path) -> dict[str, Counter[str]]:
    """Count the records of each label in each split; those without a label are not counted."""
    found = {split: _labels(folder, split) for split in SPLITS}
    for counts in found.values():
        del counts[""]
    return found


def count_unlabelled(folder: Path) -> int:
    """Count the records without a label in all splits."""
    return sum(_labels(folder, split)[""] for split in SPLITS)


def _labels(folder: Path, split: str) -> Counter[str]:
    file = folder / f"{split}.parquet"
    if not file.exists():
        return Counter()
    return Counter(pq.read_table(file, columns=["label"])["label"].to_pylist())
