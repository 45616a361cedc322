"""What the validation records decide: when to stop, which weights, how sure to be."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from volano.evaluation import calibrate

if TYPE_CHECKING:
    import torch

COLDEST = 0.4
"""Least temperature: validation records that are all answered right would ask for none at all."""

N = TypeVar("N", bound="torch.nn.Module")


class Validation(Generic[N]):
    """Looks at a network on records that it does not learn from, again and again."""

    def __init__(
        self,
        truth: NDArray[np.int64],
        logits: Callable[[N], NDArray[np.float64]],
        patience: int,
    ) -> None:
        """Compare `logits` of a network with `truth`; `patience` is in looks without a gain."""
        self.truth, self.logits, self.patience = truth, logits, patience
        self.is_settled = False
        self._lowest, self._looks_without_gain = math.inf, 0
        self._best: N | None = None

    @property
    def has_stalled(self) -> bool:
        """True once better networks have stopped coming."""
        return self._looks_without_gain >= self.patience

    def measure(self, network: N) -> dict[str, float]:
        """Measure loss and accuracy on the validation records; nothing once it is settled."""
        if self.is_settled:
            return {}
        logits = self.logits(network)
        shares = calibrate.softmax(logits)[np.arange(len(self.truth)), self.truth]
        loss = float(-np.log(np.maximum(shares, 1e-12)).mean())
        self._looks_without_gain += 1
        if loss < self._lowest:
            self._lowest, self._looks_without_gain, self._best = loss, 0, copy.deepcopy(network)
        accuracy = float((logits.argmax(axis=1) == self.truth).mean())
        return {"valid_loss": loss, "valid_accuracy": accuracy}

    def settle(self, network: N) -> None:
        """Fit the temperature; from here on the validation records may be learned as well."""
        fitted = calibrate.fit_temperature(self.logits(network), self.truth)
        network.temperature.fill_(max(fitted, COLDEST))
        self.is_settled, self._looks_without_gain = True, 0

    def best(self, network: N) -> N:
        """Return the network to keep: the last one where all was learned, else the best seen."""
        if self.is_settled:
            return network
        best = self._best or network
        self.settle(best)
        return best
