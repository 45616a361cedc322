"""Figures of a classifier from its probabilities and the truth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from volano.evaluation import calibrate
from volano.evaluation.intervals import wilson
from volano.schemas.evaluation import (
    Averages,
    BadClassList,
    BaselineFigures,
    ClassFigures,
    ClassificationReport,
    Confusion,
)

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

TOP_CONFUSIONS = 10


def report(
    truth: calibrate.Indices,
    probabilities: calibrate.Scores,
    classes: Sequence[str],
    *,
    temperature: float = 1.0,
) -> ClassificationReport:
    """Return all figures of `probabilities` (n, classes) for `truth` (n,), positions in `classes`.

    The most probable class counts as predicted, the first of equals. `temperature` is the one
    fitted on other records; it moves `ece_after` and nothing else. Memory O(n x classes).
    Raises: NothingToEvaluate, BadClassList, BadTruth, BadScores (NaN, or not probabilities).
    """
    probabilities = calibrate.checked_probabilities(probabilities)
    if not len(classes) == len(set(classes)) == probabilities.shape[1]:
        raise BadClassList(count=len(set(classes)), columns=probabilities.shape[1])
    truth = calibrate.checked_truth(truth, probabilities)
    table = confusion(truth, probabilities.argmax(axis=1), len(classes))
    right, n = int(table.trace()), len(truth)
    softened = calibrate.soften(probabilities, temperature)
    figures = per_class(table, classes)
    accuracy = right / n
    return ClassificationReport(
        classes=list(classes),
        support=table.sum(axis=1).tolist(),
        n=n,
        accuracy=accuracy,
        accuracy_interval=wilson(right, n),
        macro=average(figures, weighted=False),
        micro=Averages(precision=accuracy, recall=accuracy, f1=accuracy),
        weighted=average(figures, weighted=True),
        per_class=figures,
        confusion=table.tolist(),
        top_confusions=top_confusions(table, classes),
        temperature=temperature,
        ece_before=calibrate.ece(probabilities, truth),
        ece_after=calibrate.ece(softened, truth),
        reliability=calibrate.reliability(softened, truth),
        log_loss=log_loss(softened, truth),
        brier=brier(softened, truth),
    )


def baseline(
    name: str, truth: calibrate.Indices, predicted: calibrate.Indices, classes: Sequence[str]
) -> BaselineFigures:
    """Return how a simple classifier does that answers with a class each, and no probabilities."""
    table = confusion(truth, predicted, len(classes))
    return BaselineFigures(
        name=name,
        accuracy=float((truth == predicted).mean()),
        macro_f1=average(per_class(table, classes), weighted=False).f1,
    )


def log_loss(probabilities: Floats, truth: calibrate.Indices) -> float | None:
    """Return the mean of minus the logarithm of the truth's probability; None where one is 0."""
    shares = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(shares).mean()) if shares.all() else None


def brier(probabilities: Floats, truth: calibrate.Indices) -> float:
    """Return the mean squared distance of probabilities from the truth, 0 to 2.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    shares = probabilities[np.arange(len(truth)), truth]
    return float(((probabilities**2).sum(axis=1) - 2 * shares + 1).mean())


def confusion(truth: Counts, predicted: Counts, classes: int) -> Counts:
    """Count the records of each class (rows) by the class they were taken for (columns)."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def per_class(table: Counts, classes: Sequence[str]) -> list[ClassFigures]:
    """Return precision, recall and F1 of each class of a confusion table."""
    columns = zip(
        classes,
        table.diagonal().tolist(),
        table.sum(axis=1).tolist(),
        table.sum(axis=0).tolist(),
        strict=True,
    )
    return [_figures(*column) for column in columns]


def average(figures: list[ClassFigures], *, weighted: bool) -> Averages:
    """Return the mean over the classes with support, weighted by it or all alike."""
    present = [f for f in figures if f.support]
    weights = [f.support if weighted else 1 for f in present]

    def mean(values: list[float | None]) -> float:
        return float(np.average(np.array(values, np.float64), weights=weights))

    return Averages(
        precision=mean([f.precision for f in present]),
        recall=mean([f.recall for f in present]),
        f1=mean([f.f1 for f in present]),
    )


def top_confusions(
    table: Counts, classes: Sequence[str], most: int = TOP_CONFUSIONS
) -> list[Confusion]:
    """Return the most frequent mistakes; equally frequent ones in the order of the classes."""
    mistakes = table - np.diag(table.diagonal())
    worst = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    support = table.sum(axis=1)
    return [
        Confusion(
            truth=classes[row],
            predicted=classes[column],
            count=int(mistakes[row, column]),
            share=float(mistakes[row, column] / support[row]),
        )
        for row, column in zip(*np.unravel_index(worst, table.shape), strict=True)
        if mistakes[row, column]
    ]


def _figures(name: str, right: int, support: int, predicted: int) -> ClassFigures:
    if support == 0:
        precision = 0.0 if predicted else None
        return ClassFigures(
            name=name, support=0, predicted=predicted, precision=precision, recall=None, f1=None
        )
    return ClassFigures(
        name=name,
        support=support,
        predicted=predicted,
        precision=right / predicted if predicted else 0.0,
        recall=right / support,
        f1=2 * right / (support + predicted),
    )
