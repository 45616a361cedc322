"""Figures of a model that predicts a number."""

import numpy as np
from numpy.typing import NDArray

from volano.schemas.evaluation import (
    BadScores,
    NothingToEvaluate,
    RegressionReport,
    UnequalLengths,
)

Floats = NDArray[np.float64]


def report(truth: Floats, predicted: Floats) -> RegressionReport:
    """Return all figures of `predicted` (n,) for `truth` (n,).

    Raises: NothingToEvaluate, UnequalLengths, BadScores (a number that is not finite).
    """
    if not len(truth):
        raise NothingToEvaluate
    if truth.shape != predicted.shape:
        raise UnequalLengths(first=len(truth), second=len(predicted))
    errors = predicted - truth
    if not np.isfinite(errors).all():
        row = int(np.flatnonzero(~np.isfinite(errors))[0])
        raise BadScores(row=row, expected="finite numbers")
    squares, variance = float((errors**2).mean()), float(truth.var())
    return RegressionReport(
        n=len(truth),
        mean_absolute_error=float(np.abs(errors).mean()),
        root_mean_squared_error=squares**0.5,
        bias=float(errors.mean()),
        explained=1 - squares / variance if variance else None,
    )
