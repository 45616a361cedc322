"""Whether a confidence of 0.9 is right nine times out of ten, and the one number that mends it."""

import numpy as np
from numpy.typing import NDArray

from volano.schemas.evaluation import BadScores, BadTruth, NothingToEvaluate, ReliabilityBin

Scores = NDArray[np.float64]
Indices = NDArray[np.int64]

COLDEST, HOTTEST = 0.05, 20.0


def softmax(logits: Scores, temperature: float = 1.0) -> Scores:
    """Return probabilities, rows summing to 1, of logits (n, classes) divided by a temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Scores = powers / powers.sum(axis=1, keepdims=True)
    return shares


def soften(probabilities: Scores, temperature: float) -> Scores:
    """Return what the probabilities would be with their logits divided by a temperature."""
    if temperature == 1:
        return probabilities  # not nearly: a rounded confidence could fall into another bin
    return softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), temperature)


def fit_temperature(logits: Scores, truth: Indices) -> float:
    """Return the temperature from 0.05 to 20 that makes logits (n, classes) likeliest.

    It moves no rank. Fit it on records that neither trained nor test the model.
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2; solved
    by bisection, since the slope of the loss over the inverse temperature only rises.
    """
    logits = checked_scores(logits)
    truth = checked_truth(truth, logits)
    own = logits[np.arange(len(truth)), truth]

    def too_cold(temperature: float) -> bool:
        expected = (softmax(logits, temperature) * logits).sum(axis=1)
        return bool((expected - own).mean() > 0)

    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if too_cold(np.exp(middle)) else (low, middle)
    return float(np.exp((low + high) / 2))


def ece(probabilities: Scores, truth: Indices, bins: int = 15) -> float:
    """Return the expected calibration error in [0, 1]: the mean gap of confidence and accuracy.

    Source: Naeini et al., AAAI 2015, with `bins` bins of equal width, closed above.
    """
    found = reliability(probabilities, truth, bins)
    gaps = [b.count * abs((b.accuracy or 0) - (b.confidence or 0)) for b in found]
    return sum(gaps) / len(truth)


def reliability(probabilities: Scores, truth: Indices, bins: int = 15) -> list[ReliabilityBin]:
    """Return mean confidence and accuracy for each of `bins` equal ranges of confidence.

    A range holds the confidences above its lower end and up to its upper one.
    """
    probabilities = checked_probabilities(probabilities)
    truth = checked_truth(truth, probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(at, minlength=bins)
    confidences = np.bincount(at, confidence, bins)
    rights = np.bincount(at, right, bins)
    return [
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(counts[i]),
            confidence=float(confidences[i] / counts[i]) if counts[i] else None,
            accuracy=float(rights[i] / counts[i]) if counts[i] else None,
        )
        for i in range(bins)
    ]


def checked_scores(scores: Scores) -> Scores:
    """Return the scores as float64 (n, classes), at least one by one.

    Raises: NothingToEvaluate, BadScores (not a table, not finite).
    """
    table = np.asarray(scores, np.float64)
    if table.size == 0:
        raise NothingToEvaluate
    if table.ndim != 2:
        raise BadScores(row=0, expected="one row of numbers")
    _refuse(~np.isfinite(table).all(axis=1), "finite numbers")
    return table


def checked_probabilities(probabilities: Scores) -> Scores:
    """Return the probabilities as float64 (n, classes).

    Raises: NothingToEvaluate, BadScores (also where a row does not sum to 1 within 0.001).
    """
    table = checked_scores(probabilities)
    _refuse((table < 0).any(axis=1) | (abs(table.sum(axis=1) - 1) > 1e-3), "probabilities")
    return table


def checked_truth(truth: Indices, scores: Scores) -> Indices:
    """Return the classes of the rows of `scores` (n, classes) as int64 (n,).

    Raises: BadTruth (a class out of range, or not one for each row).
    """
    rows, last = len(scores), scores.shape[1] - 1
    if np.shape(truth) != (rows,):
        raise BadTruth(row=rows, value=f"in the shape {np.shape(truth)}", last=last)
    known = np.isin(truth, np.arange(last + 1))
    if not known.all():
        row = int(known.argmin())
        raise BadTruth(row=row, value=str(truth[row]), last=last)
    return np.asarray(truth, np.int64)


def _refuse(wrong: NDArray[np.bool_] | np.bool_, expected: str) -> None:
    if wrong.any():
        raise BadScores(row=int(wrong.argmax()), expected=expected)
