"""Staged drawings as a recogniser takes them, read in parts so that memory stays bounded."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volano.data.formats import line_segments as form
from volano.data.formats import strokes
from volano.training.staged import size

READ = 1024
"""Drawings decoded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawings:
    """Drawings as the network takes them; `segments` (n, MAX_SEGMENTS, 4) lie in a mapped file."""

    record_ids: list[str]
    """Empty where whole splits were read: training has no use for them."""
    segments: NDArray[np.float32]
    count: NDArray[np.int32]
    truth: NDArray[np.int64]
    sizes: tuple[int, ...] = ()
    """Drawings of each split that was read."""

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, rows: slice) -> Drawings:
        return Drawings(
            record_ids=self.record_ids[rows],
            segments=self.segments[rows],
            count=self.count[rows],
            truth=self.truth[rows],
        )

    @classmethod
    def read(cls, folder: Path, splits: Sequence[str], classes: Sequence[str]) -> Drawings:
        """Read whole splits one after the other; the system may swap them if memory is short.

        Raises: NoRecords, CodecError.
        """
        sizes = tuple(size(folder, split) for split in splits)
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            shape = (sum(sizes), form.MAX_SEGMENTS, 4)
            whole = cls(
                record_ids=[],
                segments=np.memmap(file, np.float32, "w+", shape=shape),
                count=np.empty(sum(sizes), np.int32),
                truth=np.empty(sum(sizes), np.int64),
                sizes=sizes,
            )
        done = 0
        for part in itertools.chain(*(cls.stream(folder, split, classes) for split in splits)):
            rows = slice(done, done := done + len(part))
            whole.segments[rows] = part.segments
            whole.count[rows], whole.truth[rows] = part.count, part.truth
        return whole

    @classmethod
    def stream(cls, folder: Path, split: str, classes: Sequence[str]) -> Iterator[Drawings]:
        """Yield a split in parts of READ drawings.

        Raises: NoRecords, CodecError.
        """
        size(folder, split)
        number = {name: index for index, name in enumerate(classes)}
        with pq.ParquetFile(folder / f"{split}.parquet") as file:
            for rows in file.iter_batches(READ, columns=["record_id", "label", "payload"]):
                cut = [form.segments(strokes.decode(p)) for p in rows["payload"].to_pylist()]
                yield cls(
                    record_ids=rows["record_id"].to_pylist(),
                    segments=padded(cut),
                    count=np.array([len(c) for c in cut], np.int32),
                    truth=np.array([number[name] for name in rows["label"].to_pylist()], np.int64),
                )


def padded(drawings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return drawings of (n, 4) segments as one (B, MAX_SEGMENTS, 4), zeros behind each."""
    whole = np.zeros((len(drawings), form.MAX_SEGMENTS, 4), np.float32)
    for row, drawing in zip(whole, drawings, strict=True):
        row[: len(drawing)] = drawing
    return whole
