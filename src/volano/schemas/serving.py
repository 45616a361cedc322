"""What answers: endpoints, predictions, rollouts."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from volano.schemas.common import Id, Input, Name, Struct, Uuid
from volano.schemas.drawings import Canvas, Device, Stroke
from volano.schemas.errors import Conflict, Invalid, Missing, Unavailable


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


Share = Annotated[float, msgspec.Meta(gt=0, lt=1)] | Literal["all", "none"]
"""Of how many: of all, of none, or of a random share of them."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """The address that predicts."""

    name: Name
    model: Name
    version: Id
    sequence: int
    """Goes up with every change of its traffic."""
    log: Share = "all"
    """Of how many predictions it keeps what was answered."""
    inputs: Share = "all"
    """Of how many of those it keeps what was sent, too; of the others it keeps the content id."""
    durable: bool = False
    """Whether it answers only after what is logged is stored; else it may be lost in a crash."""
    warnings: list[str] = []
    """What the training of the version warned of; told where one endpoint is shown."""
    history: list[Rollout] = []


class LogPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of the predictions of an endpoint."""

    log: Share = "all"
    inputs: Share = "all"
    durable: bool = False


class EndpointChange(Input, frozen=True, kw_only=True, omit_defaults=True):
    """What to log of an endpoint's predictions; what is left out stays as it is."""

    log: Share | None = None
    inputs: Share | None = None
    durable: bool | None = None


class PredictInput(Input, frozen=True, kw_only=True, omit_defaults=True):
    """What to predict: a drawing, an image, or a record that is stored already.

    A drawing may come in the shape in which it would be collected: only canvas and strokes count.
    """

    kind: Literal["drawing", "image", "record"] | None = None
    """May say which of the three it is."""
    canvas: Canvas | None = None
    strokes: Annotated[list[Stroke], msgspec.Meta(min_length=1, max_length=200)] | None = None
    image: bytes | None = None
    """An image file in base64."""
    record: Uuid | None = None
    """The id of a record."""
    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    shape: Annotated[str, msgspec.Meta(max_length=200)] = ""
    duration_ms: float | None = None
    device: Device = "unknown"


MOST_INPUTS = 32


class PredictRequest(Input, frozen=True, kw_only=True, omit_defaults=True):
    """One input or a list of them (up to 32), in one call of the model."""

    input: PredictInput | None = None
    inputs: (
        Annotated[list[PredictInput], msgspec.Meta(min_length=1, max_length=MOST_INPUTS)] | None
    ) = None


class ClassesPrediction(Struct, frozen=True, kw_only=True, tag_field="kind", tag="classes"):
    """One answer: `scores` are calibrated probabilities in [0, 1] that sum to 1."""

    id: Id
    label: str
    confidence: float
    scores: dict[str, float]


class ValuePrediction(Struct, frozen=True, kw_only=True, tag_field="kind", tag="value"):
    """One answer that is a number."""

    id: Id
    value: float


class FailedPrediction(Struct, frozen=True, kw_only=True, tag_field="kind", tag="failed"):
    """Why one of many inputs has no answer; the others have theirs."""

    code: str
    detail: str
    remedy: str


Prediction = ClassesPrediction | ValuePrediction


class PredictResponse(Struct, frozen=True, kw_only=True):
    """The answers in the order of the inputs, and which version gave them."""

    endpoint: Name
    version: Id
    predictions: list[ClassesPrediction | ValuePrediction | FailedPrediction]


class DrawingInput(Struct, frozen=True, kw_only=True, tag_field="kind", tag="drawing"):
    """A drawing that a prediction was made from, to a quarter px and to 1 ms."""

    canvas: Canvas
    strokes: list[Stroke]


class ImageInput(Struct, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """An image that a prediction was made from; `GET /predictions/{id}/input` gives the file."""

    media_type: str
    bytes: int


class Feedback(Struct, frozen=True, kw_only=True):
    """What turned out to be true of something that was predicted."""

    prediction: Id
    truth: Any
    """A label where classes were predicted, a number where a value was."""
    by: str
    at: datetime


class NewFeedback(Input, frozen=True, kw_only=True):
    """What turned out to be true: a label where classes were predicted, else a number."""

    truth: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | float


class LoggedPrediction(Struct, frozen=True, kw_only=True):
    """A prediction as it was logged, with what it was made from."""

    id: Id
    endpoint: Name
    version: Id
    at: datetime
    label: str | None = None
    """Of `classes`, as are confidence and scores."""
    confidence: float | None = None
    scores: dict[str, float] | None = None
    value: float | None = None
    content: str
    """blake3 of the input's canonical payload, hex: a record of equal content has the same."""
    input: DrawingInput | ImageInput | None = None
    """Null where the endpoint does not keep it."""
    feedback: list[Feedback] = []
    """Oldest first."""


class InputUnusable(Invalid):
    """The input cannot be recognised: {reason}."""

    remedy = "Send strokes of at least one point each, in px from the canvas's top left corner."


class WrongInput(Invalid):
    """The endpoint takes {takes}, not {given}."""

    remedy = "`volano endpoints show NAME` names the version; its signature says what it takes."


class InputNotKept(Missing):
    """What the prediction {id} was made from is not kept."""

    remedy = "`volano endpoints set {endpoint} --inputs all` keeps it from now on."


class TruthUnfit(Invalid):
    """{truth!r} cannot be true of this prediction: {reason}."""

    remedy = "Send a label for a classifier, a number for a model that predicts one."


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
