"""What a trained classifier answers to each test record, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volano.evaluation import answers, calibrate, classify
from volano.schemas.evaluation import ClassificationReport

SCHEMA = pa.schema(
    {
        "record_id": pa.string(),
        "label": pa.string(),
        "predicted": pa.string(),
        "scores": pa.list_(pa.float32()),
    }
)

MANY_CLASSES = 200
"""From here on a table of all classes is too large to be sent with the end of a run."""


class Measurement:
    """Writes what was answered for each record into a file, and reports on all of it."""

    def __init__(self, folder: Path, known: Sequence[str], never_seen: Sequence[str] = ()) -> None:
        """Measure a classifier that answers with `known`, on records of all these classes.

        What it has never seen stands behind, with a probability of zero.
        """
        self.known, self.classes = list(known), [*known, *never_seen]
        self._file = pq.ParquetWriter(folder / answers.FILE, SCHEMA)
        self._truth: list[NDArray[np.int64]] = []
        self._logits: list[NDArray[np.float32]] = []
        self._answers_of_baseline: list[NDArray[np.int64]] = []

    def __enter__(self) -> Measurement:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def measured(self) -> int:
        """Records that were answered so far."""
        return sum(map(len, self._truth))

    def add(
        self,
        record_ids: Sequence[str],
        truth: NDArray[np.int64],
        probabilities: NDArray[np.float32],
        logits: NDArray[np.float32],
        by_baseline: NDArray[np.int64] | None = None,
    ) -> None:
        """Take what was answered for some records: probabilities and logits (n, known).

        `by_baseline` is what a simple classifier answered, for comparison.
        """
        names = np.array(self.classes, dtype=object)
        table = pa.table(
            {
                "record_id": list(record_ids),
                "label": names[truth],
                "predicted": names[probabilities.argmax(axis=1)],
                "scores": list(probabilities),
            },
            schema=SCHEMA,
        )
        self._file.write_table(table)
        self._truth.append(truth)
        self._logits.append(logits)
        if by_baseline is not None:
            self._answers_of_baseline.append(by_baseline)

    def report(
        self, temperature: float, *, baseline: str = "", warnings: Sequence[str] = ()
    ) -> ClassificationReport:
        """Return all figures; `temperature` is the one fitted on other records.

        Raises: NothingToEvaluate.
        """
        never_seen = len(self.classes) - len(self.known)
        logits = np.concatenate(self._logits or [np.empty((0, len(self.known)), np.float32)])
        truth = np.concatenate(self._truth or [np.empty(0, np.int64)])
        found = classify.report(
            truth,
            np.pad(calibrate.softmax(logits.astype(np.float64)), ((0, 0), (0, never_seen))),
            self.classes,
            temperature=temperature,
        )
        simple = None
        if self._answers_of_baseline:
            answered = np.concatenate(self._answers_of_baseline)
            simple = classify.baseline(baseline, truth, answered, self.classes)
        return msgspec.structs.replace(found, baseline=simple, warnings=list(warnings))


def metrics(report: ClassificationReport) -> dict[str, float]:
    """Return the figures of a report that are compared between versions."""
    found = {
        "accuracy": report.accuracy,
        "macro_f1": report.macro.f1,
        "ece": report.ece_after,
    }
    if report.baseline is not None:
        found["baseline_accuracy"] = report.baseline.accuracy
    return found


def figures(report: ClassificationReport) -> dict[str, Any]:
    """Return a report as JSON values, of many classes without its tables: they are in the file."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    if len(report.classes) > MANY_CLASSES:
        for table in ("confusion", "per_class", "classes", "support"):
            del found[table]
    return found
