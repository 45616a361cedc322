"""What a process that runs a user's class is told, and what it tells back."""

from typing import Annotated, Literal

import msgspec

from volano.schemas.common import Json, Struct
from volano.schemas.errors import Invalid
from volano.schemas.registry import Failure, Progress

PhaseName = Literal["load", "train", "evaluate"]

Step = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Where in a run a point lies; what is larger could not be stored."""


class BadParam(Invalid):
    """The parameter {name!r} cannot be {value!r}: {reason}."""

    remedy = "`volano train --help` lists the parameters with their ranges."


class BadData(Invalid):
    """The data does not fit: {reason}."""

    remedy = "Look at the records named in the message, or train on another snapshot."


class OneClass(BadData):
    """All {records} records to learn from are of one class, {name!r}: there is no other."""

    remedy = "Freeze a snapshot whose train split has records of at least two classes."


class NoRecords(BadData):
    """The split {split!r} of the snapshot has no records."""

    remedy = (
        "Freeze again with `--split-by record`, which divides also the records of one contributor,"
        " or collect from more people."
    )


class Limits(Struct, frozen=True, kw_only=True):
    """What one run may use; sizes in bytes."""

    memory: int = 4 << 30
    """Proportional resident memory of all its processes together."""
    file: int = 2 << 30
    """Size of any one file that it writes."""
    open_files: int = 1024
    threads: int = 2
    """Threads of numeric libraries (OMP_NUM_THREADS and its like)."""
    log: int = 1 << 20
    """Bytes kept of each of stdout and stderr: the first and the last half."""


class RunOrder(Struct, frozen=True, kw_only=True):
    """`run.json`: one execution of one class."""

    source: str
    """A recipe (`drawing`), a `package.module:Class`, or a `path/model.py[:Class]`."""
    params: Json = {}
    seed: int = 0
    seconds: float = 300.0
    data: str
    """Folder with the staged snapshot."""
    artefact: str
    """Folder for the results."""
    limits: Limits = Limits()


class ArtefactFile(Struct, frozen=True, kw_only=True):
    """One file that a run left in its artefact folder."""

    name: str
    """Relative, with `/`."""
    bytes: int


class Event(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Something that a run tells; `at_s` is in seconds since the run's start."""

    at_s: float


class Phase(Event, frozen=True, kw_only=True, tag="phase"):
    """A phase began."""

    name: PhaseName


class Point(Struct, frozen=True, kw_only=True, array_like=True):
    """One call of `run.log`: finite values by metric name."""

    step: Step
    at_s: float
    values: dict[str, float]


class Points(Event, frozen=True, kw_only=True, tag="metric"):
    """Points of metric series, in the order they were logged; none is left out."""

    points: list[Point]


class Reached(Event, frozen=True, kw_only=True, tag="progress"):
    """How far the work is; of quick successions only the latest is told."""

    progress: Progress


class Warned(Event, frozen=True, kw_only=True, tag="warning"):
    """What whoever reads the results should know; the run goes on."""

    text: str


class Line(Event, frozen=True, kw_only=True, tag="log"):
    """A line that the user's code printed, cut at 2,000 characters."""

    text: str
    stream: Literal["stdout", "stderr"] = "stdout"


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The end: this is why there is no result."""

    failure: Failure
    peak_rss: int = 0
    """Bytes; the child's own account of its largest resident memory."""


class Finished(Event, frozen=True, kw_only=True, tag="finished"):
    """The end: all phases went through."""

    figures: Json
    """What `evaluate` returned."""
    files: list[ArtefactFile]
    seconds: dict[str, float]
    """Wall clock of each phase."""
    environment: dict[str, str]
    """Interpreter, platform and the versions of the distributions that were imported."""
    source: str
    """Hash of the captured code."""
    peak_rss: int = 0


AnyEvent = Phase | Points | Reached | Warned | Line | Failed | Finished


class EventUnreadable(Invalid):
    """A line on the event pipe is not an event: {reason}."""

    remedy = "Only volano.harness writes to this pipe; a user's code should print instead."


class EventTooLarge(Invalid):
    """An event of {bytes} bytes is larger than the {limit} that one line may have."""

    remedy = "Write large results into a file of the artefact folder."


class SourceMissing(Invalid):
    """There is no source {source!r}: {reason}."""

    remedy = "Give a recipe, a package.module:Class or the path of a Python file."


class ModelUnclear(Invalid):
    """{source!r} does not say which Model to run: {reason}."""

    remedy = "Define one subclass of volano.Model there, or name it: {source}:ClassName."


class ContractBroken(Invalid):
    """The model does not do what its caller relies on: {reason}."""


class MetricNotFinite(ContractBroken):
    """The metric {name!r} at step {step} is {value!r}, not a finite number."""

    remedy = "A loss that is NaN or infinite has diverged: lower the learning rate, or guard it."


class ArtefactMissing(ContractBroken):
    """`train` ended and left nothing in run.artefact."""

    remedy = "Write the trained model into the folder `run.artefact`."


class ArtefactUnfit(ContractBroken):
    """The artefact {name!r} cannot be registered: {reason}."""

    remedy = "Leave only regular files of a reasonable size in run.artefact."


class FiguresUnreadable(ContractBroken):
    """`evaluate` did not return a small mapping of finite JSON values: {reason}."""

    remedy = (
        "Return a dict of numbers, texts, lists and dicts; write large results into run.artefact."
    )
