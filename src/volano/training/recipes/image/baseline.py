"""What a network must beat: a linear classifier of small pictures, fitted in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volano.training.recipes.image.staged import Known, Pixels, Truth

NAME = "ridge regression on the pixels"
MOST_NUMBERS = 1024
"""Numbers that a picture is reduced to, at most."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Weights of the ridge, relative to the number of pictures; the validation pictures choose one."""
PART = 4096
"""Pictures taken together, which bounds memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One linear score for each class; the highest is the answer."""

    weights: Floats
    """(numbers + 1, classes), the last row added to each score."""

    def predict(self, pictures: Pixels) -> Truth:
        """Return the class of each picture."""
        found = [
            _numbers(pictures[at : at + PART]) @ self.weights
            for at in range(0, len(pictures), PART)
        ]
        return np.concatenate(found).argmax(axis=1)

    def save(self, path: Path) -> None:
        """Write the weights to a `.npz` file."""
        np.savez_compressed(path, weights=self.weights.astype(np.float32))

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(weights=file["weights"].astype(np.float64))


def fit(known: Known) -> Baseline:
    """Fit the baseline; which penalty it takes, the pictures to validate on decide."""
    pictures, truth, learn = known.images.pixels, known.images.truth, known.learn
    classes = len(known.classes)
    columns = _numbers(pictures[:1]).shape[1]
    square, product = np.zeros((columns, columns)), np.zeros((columns, classes))
    for at in range(0, len(learn), PART):
        rows = learn[at : at + PART]
        numbers, wanted = _numbers(pictures[rows]), np.eye(classes)[truth[rows]]
        square += numbers.T @ numbers
        product += numbers.T @ wanted
    values, vectors = np.linalg.eigh(square)
    rotated, values = vectors.T @ product, values.clip(0)[:, None]
    candidates = [
        Baseline(weights=vectors @ (rotated / (values + penalty * len(learn))))
        for penalty in PENALTIES
    ]
    shown, asked = pictures[known.valid], truth[known.valid]
    return max(candidates, key=lambda one: float((one.predict(shown) == asked).mean()))


def _numbers(pictures: Pixels) -> Floats:
    """Return pictures as rows of numbers around zero, a one behind each."""
    height, width, channels = pictures.shape[1:]
    block = 1
    while (height // block) * (width // block) * channels > MOST_NUMBERS:
        block += 1
    rows, columns = height // block, width // block
    cut = pictures[:, : rows * block, : columns * block]
    small = cut.reshape(-1, rows, block, columns, block, channels).mean((2, 4), np.float32)
    numbers = small.reshape(len(pictures), -1).astype(np.float64) / 127.5 - 1
    return np.pad(numbers, ((0, 0), (0, 1)), constant_values=1)
