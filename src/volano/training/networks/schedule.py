"""How long to train, at which rate, on which rows, and the average of the weights on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volano.harness.model import Run

if TYPE_CHECKING:
    import torch

LOOKS = 40
"""How often training stops to look at the validation records."""

Rows = NDArray[np.int64]


class Schedule:
    """How far training is: by the clock or by steps, whichever is further."""

    def __init__(self, run: Run, *, seconds: float, reserve: float, steps: int) -> None:
        """Train for `seconds` or `steps`, and keep `reserve` seconds for what comes afterwards."""
        self._run, self._steps = run, steps
        at_start = run.seconds_left()
        self._seconds = min(seconds, at_start - min(reserve, at_start / 3))
        self._end = at_start - self._seconds
        self._looked = 0.0

    def share(self, step: int) -> float:
        """Return the share done, 1 at the end.

        Raises: RunCancelled.
        """
        left = self._run.seconds_left() - self._end
        return max(step / self._steps, 1 - left / self._seconds)

    def time_to_look(self, share: float) -> bool:
        """Return True LOOKS times in a training."""
        if share < self._looked + 1 / LOOKS:
            return False
        self._looked = share
        return True


def warmed_cosine(share: float) -> float:
    """Return the factor of the learning rate: up over a twentieth, then a half cosine."""
    return min(1.0, 0.02 + share / 0.05) * (0.001 + 0.5 * (1 + math.cos(math.pi * share)))


def batches(rng: np.random.Generator, total: int, size: int) -> Iterator[Rows]:
    """Yield rows for step after step, for ever: each record once before any comes again."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(total)])
        yield waiting[:size]
        waiting = waiting[size:]


def update_average(average: torch.nn.Module, learner: torch.nn.Module, memory: float) -> None:
    """Move the averaged weights, and the statistics of the norms, towards the learner's."""
    import torch

    with torch.no_grad():
        for slow, fast in zip(
            average.state_dict().values(), learner.state_dict().values(), strict=True
        ):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - memory)
