"""What answers: endpoints, predictions, rollouts."""

from datetime import datetime
from typing import Annotated

import msgspec

from volano.schemas.common import Id, Input, Name, Struct
from volano.schemas.drawings import Canvas, Device, Stroke
from volano.schemas.errors import Conflict, Invalid, Unavailable


class Activation(Input, frozen=True, kw_only=True):
    """Put a version on an endpoint's traffic."""

    version: Id


class Rollback(Input, frozen=True, kw_only=True, rename={"leaves": "from"}):
    """Put the version back on an endpoint's traffic that answered before another one."""

    leaves: Id
    """The version that answers now; once it no longer does, sending this again changes nothing."""


class Rollout(Struct, frozen=True, kw_only=True):
    """Which version answered on an endpoint from when on: rows are only ever added."""

    sequence: int
    version: Id
    at: datetime
    by: str
    reason: str
    returns_to: int | None = None
    """Sequence of the rollout that a rollback goes back to; none: there is no earlier version."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """The address that predicts."""

    name: Name
    model: Name
    version: Id
    sequence: int
    """Goes up with every change of its traffic."""
    warnings: list[str] = []
    """What the training of the version warned of; told where one endpoint is shown."""
    history: list[Rollout] = []


class DrawingInput(Input, frozen=True, kw_only=True, omit_defaults=True):
    """A drawing to recognise, in the shape in which it would be collected.

    Only canvas and strokes count; the other fields are taken so that one body serves both.
    """

    canvas: Canvas
    strokes: Annotated[list[Stroke], msgspec.Meta(min_length=1, max_length=200)]
    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    shape: Annotated[str, msgspec.Meta(max_length=100)] = ""
    duration_ms: float | None = None
    device: Device = "unknown"


class PredictRequest(Input, frozen=True, kw_only=True):
    """One input or a list of them (up to 32), in one call of the model."""

    input: DrawingInput | None = None
    inputs: Annotated[list[DrawingInput], msgspec.Meta(min_length=1, max_length=32)] | None = None


class Prediction(Struct, frozen=True, kw_only=True):
    """One answer: `scores` are calibrated probabilities in [0, 1] that sum to 1."""

    id: Id
    label: str
    confidence: float
    scores: dict[str, float]


class PredictResponse(Struct, frozen=True, kw_only=True):
    """The answers in the order of the inputs, and which version gave them."""

    endpoint: Name
    version: Id
    predictions: list[Prediction]


class LoggedPrediction(Struct, frozen=True, kw_only=True):
    """A prediction as it was logged, with what it was made from, to a quarter px and to 1 ms."""

    id: Id
    endpoint: Name
    version: Id
    at: datetime
    label: str
    confidence: float
    scores: dict[str, float]
    input: DrawingInput


class InputUnusable(Invalid):
    """The input cannot be recognised: {reason}."""

    remedy = "Send strokes of at least one point each, in px from the canvas's top left corner."


class OneOrMany(Invalid):
    """Give either `input` or `inputs`."""

    remedy = 'Send {{"input": {{…}}}} for one, {{"inputs": [{{…}}, …]}} for up to 32.'


class NothingActive(Unavailable):
    """The endpoint {endpoint!r} has no version that can answer."""

    remedy = "`volano versions activate <version>` puts one on it."


class NoEarlierVersion(Conflict):
    """The endpoint {endpoint!r} has no earlier version to roll back to."""

    remedy = "`volano versions ls` lists what can be activated instead."


class NotAnswering(Conflict):
    """The version {version} does not answer on {endpoint!r}: {active} does."""

    remedy = "Look at the endpoint again: `volano endpoints show {endpoint}`."


class GoldenMismatch(Conflict):
    """The version {version} does not reproduce its own golden answers here (off by {error})."""

    remedy = "The runtime differs from the one that trained it; the active version was kept."
