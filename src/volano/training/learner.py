"""How one network of the recogniser learns: a step of it, and the steps of those on one core."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from volano.training.augment import Hand, augment
from volano.training.morph import Kin, between
from volano.training.network import Reader, placed
from volano.training.optimiser import AdamW
from volano.training.staged import Drawings, Rows

if TYPE_CHECKING:
    from volano.training.recipes.drawing import Drawing, Schedule


class Learner:
    """One network in training: whatever it draws at random, it draws by itself."""

    def __init__(
        self, recipe: Drawing, average: Reader, known: Drawings, rng: np.random.Generator
    ) -> None:
        self.steps, self.loss = 0, 0.0
        self._recipe, self._rng = recipe, rng
        self._average, self._reader = average, copy.deepcopy(average)
        self._optimiser = AdamW(self._reader.parameters(), recipe.weight_decay)
        self._hand = Hand().times(recipe.strength)
        self.take(known)

    def take(self, known: Drawings) -> None:
        """Learn from these drawings from now on."""
        self._known, self._kin = known, Kin(known.truth)
        self._batches = _batches(self._rng, len(known), self._recipe.batch)

    def step(self, share: float) -> None:
        """Learn from one batch, at this share of the training."""
        rows = next(self._batches)
        logits = self._logits(*self._redrawn(rows))
        truth = torch.from_numpy(self._known.truth[rows])
        loss = functional.cross_entropy(logits, truth, label_smoothing=self._recipe.smoothing)
        loss.backward()
        self.loss = loss.item()
        self._optimiser.step(self._recipe.learning_rate * warmed_cosine(share))
        memory = min(self._recipe.averaging, (1 + self.steps) / (10 + self.steps))
        _follow(self._average, self._reader, memory)
        self.steps += 1

    def _redrawn(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
        """The drawings as other hands might have drawn them."""
        segments, count = self._known.segments[rows], self._known.count[rows]
        kin = self._kin.some(self._rng, rows)
        other = self._known.segments[kin], self._known.count[kin]
        moved = between(self._rng, (segments, count), other, self._recipe.morph)
        return augment(self._rng, moved, count, self._hand)

    def _logits(self, segments: NDArray[np.float32], count: NDArray[np.integer]) -> Tensor:
        """What the network says, with some of its features left out.

        torch's own dropout would draw from a generator that all threads share.
        """
        features = self._reader.features(*placed(*map(torch.from_numpy, (segments, count))))
        kept = self._rng.random(features.shape, np.float32) >= self._recipe.dropout
        thinned = features * torch.from_numpy(kept) / (1 - self._recipe.dropout)
        logits: Tensor = self._reader.head(thinned)
        return logits


def learn(lane: Sequence[Learner], schedule: Schedule, end: float) -> None:
    """Let the learners of one core take steps in turn until `end` of the training."""
    for learner in itertools.cycle(lane):
        share = schedule.share(learner.steps)
        if share >= end:
            return
        learner.step(share)


def warmed_cosine(share: float) -> float:
    """The learning rate over a training, as a factor: up over a twentieth, then a half cosine."""
    return min(1.0, 0.02 + share / 0.05) * (0.001 + 0.5 * (1 + math.cos(math.pi * share)))


def _batches(rng: np.random.Generator, total: int, size: int) -> Iterator[Rows]:
    """Rows for step after step, for ever: each drawing once before any comes again."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(total)])
        yield waiting[:size]
        waiting = waiting[size:]


def _follow(average: nn.Module, learner: nn.Module, memory: float) -> None:
    """Move the averaged weights, and the statistics of the norms, towards the learner's."""
    slow, fast = (
        [value for value in network.state_dict().values() if value.is_floating_point()]
        for network in (average, learner)
    )
    with torch.no_grad():
        torch._foreach_lerp_(slow, fast, 1 - memory)
