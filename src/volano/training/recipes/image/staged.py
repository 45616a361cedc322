"""Staged pictures as a classifier takes them, decoded in parts so that memory stays bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volano.data.formats import pixels
from volano.evaluation.coverage import Counts
from volano.schemas.errors import VolanoError
from volano.schemas.harness import NoRecords
from volano.schemas.registry import ImageSpec

READ = 256
"""Pictures decoded at once."""
HELD_OUT = 10
"""Of so many pictures of a class one is held out where the snapshot has no such split."""

Pixels = NDArray[np.uint8]
Truth = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Pictures (n, height, width, channels) with their classes; `pixels` lie in a mapped file."""

    record_ids: list[str]
    pixels: Pixels
    truth: Truth
    unreadable: list[str]
    """Records that are no pictures, or broken ones; they are not among the others."""
    sizes: tuple[int, ...] = ()
    """Pictures of each split that was read."""

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: Rows) -> Images:
        return Images(
            record_ids=[self.record_ids[row] for row in rows],
            pixels=self.pixels[rows],
            truth=self.truth[rows],
            unreadable=[],
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        splits: Sequence[str],
        classes: Sequence[str],
        spec: ImageSpec,
        *,
        threads: int = 1,
    ) -> Images:
        """Read whole splits one after the other; the system may swap them if memory is short.

        Raises: NoRecords (none of a split is labelled and can be read).
        """
        total = sum(pq.read_metadata(folder / f"{split}.parquet").num_rows for split in splits)
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            shape = (max(total, 1), spec.height, spec.width, spec.channels)
            whole = np.memmap(file, np.uint8, "w+", shape=shape)
        ids: list[str] = []
        truth: list[Truth] = []
        unreadable: list[str] = []
        sizes: list[int] = []
        for split in splits:
            before = len(ids)
            for part in cls.stream(folder, split, classes, spec, threads=threads):
                whole[len(ids) : len(ids) + len(part)] = part.pixels
                ids += part.record_ids
                truth.append(part.truth)
                unreadable += part.unreadable
            if len(ids) == before:
                raise NoRecords(split=split)
            sizes.append(len(ids) - before)
        return cls(
            record_ids=ids,
            pixels=whole[: len(ids)],
            truth=np.concatenate(truth),
            unreadable=unreadable,
            sizes=tuple(sizes),
        )

    @classmethod
    def stream(
        cls, folder: Path, split: str, classes: Sequence[str], spec: ImageSpec, *, threads: int = 1
    ) -> Iterator[Images]:
        """Yield the labelled pictures of a split in parts of at most READ."""
        number = {name: index for index, name in enumerate(classes)}

        def load(payload: bytes) -> Pixels | None:
            try:
                return pixels.load(payload, spec.height, spec.width, spec.channels, spec.fit)
            except VolanoError:
                return None

        with (
            pq.ParquetFile(folder / f"{split}.parquet") as file,
            ThreadPoolExecutor(threads) as pool,
        ):
            for rows in file.iter_batches(READ, columns=["record_id", "label", "payload"]):
                labelled = [row for row in rows.to_pylist() if row["label"]]
                loaded = list(pool.map(load, [row["payload"] for row in labelled]))
                pairs = list(zip(labelled, loaded, strict=True))
                good = [(row, picture) for row, picture in pairs if picture is not None]
                whole = np.empty((len(good), spec.height, spec.width, spec.channels), np.uint8)
                for place, (_, picture) in zip(whole, good, strict=True):
                    place[:] = picture
                yield cls(
                    record_ids=[row["record_id"] for row, _ in good],
                    pixels=whole,
                    truth=np.array([number[row["label"]] for row, _ in good], np.int64),
                    unreadable=[row["record_id"] for row, picture in pairs if picture is None],
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The pictures that training may see: rows to learn from, and rows to validate on."""

    images: Images
    classes: list[str]
    spec: ImageSpec
    learn: Rows
    valid: Rows

    @classmethod
    def read(
        cls, folder: Path, counts: Counts, classes: list[str], spec: ImageSpec, *, threads: int
    ) -> Known:
        """Read the train and valid splits.

        Raises: NoRecords.
        """
        splits = [split for split in ("train", "valid") if counts[split]]
        images = Images.read(folder, splits, classes, spec, threads=threads)
        learn, valid = divided(images)
        return cls(
            images=images,
            classes=classes,
            spec=spec,
            learn=learn,
            valid=valid,
        )


def divided(images: Images) -> tuple[Rows, Rows]:
    """Return the rows to learn from and those to validate on.

    Without a split to validate on, about a tenth of each class is held out, chosen by the ids of
    the records; where no class has two pictures, all are for both.
    """
    rows = np.arange(len(images))
    if len(images.sizes) > 1:
        return rows[: images.sizes[0]], rows[images.sizes[0] :]
    digests = [blake2b(id.encode(), digest_size=8).digest() for id in images.record_ids]
    order = sorted(range(len(images)), key=digests.__getitem__)
    held = np.zeros(len(images), bool)
    for one in np.unique(images.truth):
        own = [row for row in order if images.truth[row] == one]
        held[own[: min(len(own) // 2, max(1, len(own) // HELD_OUT))]] = True
    return (rows[~held], rows[held]) if held.any() else (rows, rows)
