"""What a graph gives as answers: one class for each kind of output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volano.schemas.common import uuid7
from volano.schemas.registry import ArtefactRefused, ClassesSpec, OutputSpec, ValueSpec
from volano.schemas.serving import ClassesPrediction, Prediction, ValuePrediction

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classes:
    """Calibrated probabilities (inputs, classes)."""

    classes: list[str]
    name = "probabilities"

    @property
    def columns(self) -> int:
        """Numbers for each input."""
        return len(self.classes)

    def answers(self, given: Floats) -> list[Prediction]:
        """Return what is answered for each row."""
        classes = self.classes
        made: list[Prediction] = []
        for scores in given.tolist():
            confidence = max(scores)
            made.append(
                ClassesPrediction(
                    id=str(uuid7()),
                    label=classes[scores.index(confidence)],
                    confidence=confidence,
                    scores=dict(zip(classes, scores, strict=True)),
                )
            )
        return made


@dataclass(frozen=True, slots=True)
class Value:
    """One number for each input, (inputs, 1)."""

    name = "value"
    columns = 1

    def answers(self, given: Floats) -> list[Prediction]:
        """Return what is answered for each row."""
        return [ValuePrediction(id=str(uuid7()), value=value) for (value,) in given.tolist()]


Outputs = Classes | Value


def outputs_of(gives: OutputSpec) -> Outputs:
    """Return what makes answers of what a version gives.

    Raises: ArtefactRefused.
    """
    match gives:
        case ClassesSpec():
            return Classes(gives.classes)
        case ValueSpec():
            return Value()
    kind = gives.__struct_config__.tag
    raise ArtefactRefused(reason=f"outputs of the kind {kind!r} are not answered yet")
