"""How far a measured figure can be trusted."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from volano.schemas.evaluation import Difference, Interval, NothingToEvaluate, UnequalLengths


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return where the true share lies after `successes` of `n`, always within [0, 1].

    Source: E. B. Wilson, "Probable inference", JASA 22 (1927), without continuity correction.
    """
    if n <= 0:
        raise NothingToEvaluate
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    spread = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    middle, scale = share + z * z / (2 * n), 1 + z * z / n
    # Rounding must not push the bound of 0 of n below 0, or of n of n above 1.
    low, high = max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
    return Interval(low=low, high=high, level=level)


def paired_bootstrap(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    rng: np.random.Generator,
    rounds: int = 2000,
    level: float = 0.95,
) -> Difference:
    """Return the mean of `second - first`, both (n,), with its percentile interval over records.

    For accuracies pass 0 and 1. Costs O(rounds x distinct differences).
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if len(first) != len(second):
        raise UnequalLengths(first=len(first), second=len(second))
    if not len(first):
        raise NothingToEvaluate
    n = len(first)
    # Drawing n records again is drawing how often each distinct difference comes up.
    values, counts = np.unique(np.subtract(second, first, dtype=np.float64), return_counts=True)
    drawn = [rng.multinomial(n, counts / n) @ values / n for _ in range(rounds)]
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return Difference(
        n=n,
        difference=float(counts @ values / n),
        interval=Interval(low=float(low), high=float(high), level=level),
        share_better=float((np.sign(drawn) / 2 + 0.5).mean()),
    )
