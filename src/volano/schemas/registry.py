"""What was executed and what came out: runs, versions and the artefact of a version."""

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


class Golden(Struct, frozen=True, kw_only=True):
    """One input with the answer that the exported graph must give for it."""

    input: Any
    scores: list[float]


class Artefact(Struct, frozen=True, kw_only=True):
    """`version.json`: what a server needs to know to run `model.onnx` and to trust it."""

    schema: int = 1
    format: Literal["onnx"] = "onnx"
    input_kind: str = "drawing"
    classes: list[str]
    temperature: float = 1.0
    max_segments: int = 96
    tolerance: float = 1 / 32
    """Preprocessing fact of the recipe: see data/formats/line_segments.py."""
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
    artefact: Artefact
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
    """The evaluation of {id} is not a classification report: {reason}."""

    remedy = "`GET /versions/{id}/files/evaluation.json` gives what the recipe wrote, as it is."


class RunInterrupted(Unavailable):
    """The run {id} was interrupted: {reason}."""

    remedy = "It is given to another worker by itself."
