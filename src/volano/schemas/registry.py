"""What was executed and what came out: runs, versions and the signature of a version."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from volano.schemas.common import Id, Input, Json, Name, Struct
from volano.schemas.errors import Conflict, Invalid, Unavailable

RunState = Literal["queued", "running", "finished", "failed", "cancelled"]
FailureClass = Literal[
    "user.code", "user.dependency", "user.data", "user.contract", "user.resource", "user.timeout",
    "system.worker_lost", "system.storage", "system.env", "system.capacity", "cancelled",
]  # fmt: skip
"""`user.` is the turn of whoever wrote the model; `system.` is tried again, `env` where the process
could not even begin."""


class Failure(Struct, frozen=True, kw_only=True):
    """Why a run failed: the class says whose turn it is, the signature groups equal failures."""

    class_: FailureClass = msgspec.field(name="class")
    message: str
    frame: str = ""
    """Innermost line of the user's own code, `file:line function`."""
    signature: str = ""
    remedy: str = ""
    """What to do about it, where that is known."""


class NewRun(Input, frozen=True, kw_only=True):
    """A training to start."""

    snapshot: Id
    recipe: Name = "drawing"
    model: Name | None = None
    """Name under which its version is registered; the recipe's name if not given."""
    params: dict[str, Any] = {}
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 300.0
    """Wall clock allowed for training, evaluation and export together."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run is."""

    done: float = 0.0
    total: float = 0.0
    note: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """One execution of user code on one snapshot."""

    id: Id
    kind: Literal["training"]
    state: RunState
    model: Name
    recipe: Name
    snapshot: Id
    params: Json
    seed: int
    seconds: float
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    progress: Progress = Progress()
    metrics: dict[str, float] = {}
    """The last value of each metric series, and the figures of the evaluation."""
    warnings: list[str] = []
    """What to know before trusting what came out, such as a class that was never seen."""
    failure: Failure | None = None
    version: Id | None = None


class Series(Struct, frozen=True, kw_only=True):
    """The points of one metric of a run, in the order they were logged."""

    metric: str
    steps: list[int]
    values: list[float]
    at_s: list[float]
    """Seconds since the run's start."""


class ParamSpec(Struct, frozen=True, kw_only=True):
    """One setting of a model: what `Param` says of it, as data."""

    name: str
    type: Literal["int", "float", "bool", "str"]
    default: Any
    ge: float | None = None
    le: float | None = None
    choices: list[Any] = []
    """The only values that it takes; empty: any."""
    doc: str = ""


class DrawingSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="drawing"):
    """A drawing, cut into straight segments: see data/formats/line_segments.py."""

    max_segments: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 96
    tolerance: Annotated[float, msgspec.Meta(gt=0)] = 1 / 32


class ImageSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A picture of this size in pixels: see data/formats/pixels.py."""

    height: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    width: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    channels: Literal[1, 3] = 3
    fit: Literal["stretch", "letterbox"] = "stretch"
    """How a picture of another form is brought to this one."""


class JsonSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="json"):
    """Any JSON value."""


class ClassesSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="classes"):
    """A probability for each class."""

    classes: Annotated[list[str], msgspec.Meta(min_length=1)]
    """In the order of the graph's columns."""


class BoxesSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="boxes"):
    """Boxes around what was found in a picture, each of one class."""

    classes: Annotated[list[str], msgspec.Meta(min_length=1)]


class ValueSpec(Struct, frozen=True, kw_only=True, tag_field="kind", tag="value"):
    """One number."""

    unit: str = ""


InputSpec = DrawingSpec | ImageSpec | JsonSpec
OutputSpec = ClassesSpec | BoxesSpec | ValueSpec | JsonSpec


class Signature(Struct, frozen=True, kw_only=True):
    """What a model is set up with, what it takes and what it answers."""

    params: list[ParamSpec] = []
    input: InputSpec
    output: OutputSpec

    @property
    def classes(self) -> list[str]:
        """The names of its classes; none where it answers with something else."""
        return self.output.classes if isinstance(self.output, ClassesSpec | BoxesSpec) else []


class RecipeSignature(Struct, frozen=True, kw_only=True):
    """What a recipe is set up with and makes models of, read without running any of its code."""

    recipe: str
    doc: str
    params: list[ParamSpec]
    input: str
    """Kind of what its models take: `drawing`, `image`, `json`."""
    output: str
    """Kind of what they answer: `classes`, `boxes`, `value`, `json`."""


class Golden(Struct, frozen=True, kw_only=True):
    """One input with the answer that the exported graph must give for it.

    A drawing is the list of its segments, a picture its canonical payload in base64.
    """

    input: Any
    scores: list[float]


class VersionFile(Struct, frozen=True, kw_only=True):
    """`version.json`: what a server needs to know to run a version's files and to trust them."""

    schema: Literal[2] = 2
    runner: Literal["onnx"] = "onnx"
    """What runs it: `model.onnx` in onnxruntime."""
    signature: Signature
    temperature: float = 1.0
    parity: float = 0.0
    """Largest difference between the trained network and the exported graph, in probability."""
    golden: list[Golden] = []
    facts: Json = {}


class File(Struct, frozen=True, kw_only=True):
    """One file of a version."""

    name: str
    blob: str
    """Content address of what is in it."""
    bytes: int


class Version(Struct, frozen=True, kw_only=True):
    """A trained model with everything that made it."""

    id: Id
    model: Name
    number: int
    """1, 2, 3 … within its model."""
    run: Id
    snapshot: Id
    source: str
    """Hash of the captured code: the model's file and all of its own project that it imports.

    What was installed beside it is in `environment`; what it read at run time is in neither.
    """
    digest: str
    """Hash over its files: two versions with one digest answer alike."""
    params: Json
    metrics: dict[str, float]
    warnings: list[str] = []
    """What its run warned of."""
    environment: dict[str, str]
    files: list[File]
    runner: str
    signature: Signature
    temperature: float
    parity: float
    """Largest difference between the trained network and the exported graph, in probability."""
    facts: Json
    """What its recipe says of it beside."""
    created_at: datetime
    created_by: str


class Comparison(Struct, frozen=True, kw_only=True):
    """Versions side by side: per metric the values in the order asked for."""

    versions: list[Version]
    metrics: dict[str, list[float | None]]
    params: dict[str, list[Any]]
    """Only the parameters that differ."""


class UnknownRecipe(Invalid):
    """There is no recipe {recipe!r}."""

    remedy = "Recipes here: {known}."


class RunOver(Conflict):
    """The run {id} is already {state}."""

    remedy = "`volano runs show {id}` tells how it ended."


class ArtefactRefused(Invalid):
    """The artefact is not fit to serve: {reason}."""

    remedy = "Train again with a recipe that writes model.onnx and version.json."


class EvaluationUnreadable(Invalid):
    """The evaluation of {id} is no report of a known type: {reason}."""

    remedy = "`GET /versions/{id}/files/evaluation.json` gives what the recipe wrote, as it is."


class RunInterrupted(Unavailable):
    """The run {id} was interrupted: {reason}."""

    remedy = "It is given to another worker by itself."
