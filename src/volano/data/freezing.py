"""A snapshot in the making: files in a folder, so that memory is one part of it, however many."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from volano.core.segments import parquet
from volano.data import snapshot
from volano.data.splits import Divider, Division
from volano.schemas import data as schemas
from volano.schemas.data import SPLITS, Split, SplitRule

PART = 4096
"""Lines in what one read of a manifest fetches: 190 kB; the footer has 190 kB a million lines."""

_CONTENTS_NAMED, _RECORDS_NAMED = 20, 8  # of what came with several splits


class Draft:
    """A snapshot that is being made.

    Who is in which split depends on all of its contributors, so its lines come first (`add`), and
    are divided, hashed and written when all are there (`write_part`).
    """

    def __init__(self, folder: Path, rule: SplitRule) -> None:
        self.manifest = folder / "manifest.parquet"
        self.records, self.parts = 0, 0
        self._lines = folder / "lines.arrow"
        self._divider = Divider(rule)
        self._rows: list[Sequence[Any]] = []
        self._counts: Counter[tuple[str, Split]] = Counter()
        self._shared: dict[bytes, list[str]] = {}
        self._digest = snapshot.Digest()
        self._division: Division | None = None
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._sink: Any = pa.ipc.new_file(self._lines, snapshot.LINES, options=options)

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sink.close()

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take the next rows, sorted by record, as `snapshot.lines` reads them."""
        self._rows += rows
        while len(self._rows) >= PART:
            self._keep(self._rows[:PART])
            del self._rows[:PART]

    def divide(self) -> None:
        """Settle who is in which split: no rows come any more."""
        if self._rows:
            self._keep(self._rows)
        self._sink.close()
        self._division = self._divider.division()
        self._source = pa.ipc.open_file(self._lines)
        self._sink = pq.ParquetWriter(self.manifest, snapshot.MANIFEST, **parquet.WRITTEN)

    def write_part(self, number: int) -> None:
        """Write the manifest's next part, from 0 to `parts`."""
        assert self._division is not None, "divide comes first"
        lines = self._source.get_batch(number)
        splits = self._division.splits_of(lines)
        whole = lines.append_column("split", splits).select(snapshot.MANIFEST.names)
        part = whole.cast(snapshot.MANIFEST)
        self._digest.add(part)
        for content, id in self._division.shared_in(lines):
            ids = self._shared.setdefault(content, [])
            if len(self._shared) > _CONTENTS_NAMED:
                del self._shared[content]
            elif len(ids) < _RECORDS_NAMED:
                ids.append(id)
        counted = pa.table(part).group_by(["label", "split"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            self._counts[row["label"], row["split"]] += row["count_all"]
        self._sink.write_batch(part, row_group_size=PART)

    def facts(self) -> dict[str, Any]:
        """Close the manifest and return what the snapshot is, as its row has it."""
        self._sink.close()
        assert self._division is not None, "divide comes first"
        labels = sorted({label for label, _ in self._counts})
        by_split = {
            split: sum(n for (_, of), n in self._counts.items() if of == split) for split in SPLITS
        }
        missing = {
            split: [label for label in labels if (label, split) not in self._counts]
            for split in SPLITS
        }
        digest = self._digest.hex()
        return {
            "id": f"snap_{digest[:32]}",
            "hash": digest,
            "labels": labels,
            "missing": missing,
            "records": self.records,
            "by_split": by_split,
            "overlap": {
                "contents": len(self._division.shared),
                "records": list(self._shared.values()),
            },
            "contributors": self._divider.contributors,
            "manifest_size": self.manifest.stat().st_size,
        }

    def _keep(self, rows: Sequence[Sequence[Any]]) -> None:
        lines = snapshot.lines(rows)
        self._divider.add(lines)
        self._sink.write_batch(lines)
        self.records += len(rows)
        self.parts += 1


def check(facts: dict[str, Any], rule: SplitRule) -> None:
    """Refuse what cannot be meant: no records, nobody to test where somebody is named, no training.

    A split that nothing is in to validate or to test is no fault: a warning says so.

    Raises: NothingMatches, NobodyTests, EmptySplit.
    """
    by_split = facts["by_split"]
    if not facts["records"]:
        raise schemas.NothingMatches
    if rule.test_contributors and not by_split["test"]:
        raise schemas.NobodyTests(patterns=", ".join(map(repr, rule.test_contributors)))
    if not by_split["train"]:
        raise schemas.EmptySplit(split="train", contributors=facts["contributors"])


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """Give a folder that is gone afterwards; both in a thread: large files take their time."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="volano-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
