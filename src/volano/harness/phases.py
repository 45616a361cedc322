"""The work itself: train, then evaluate, seeded; whatever goes wrong becomes a Failure."""

import math
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from volano.harness import artefacts, failures
from volano.harness.environment import environment
from volano.harness.events import LINE_LIMIT, Events
from volano.harness.model import Model, RunCancelled, RunOutOfTime
from volano.harness.run import LocalRun
from volano.harness.source import Place, capture, load
from volano.schemas.harness import ArtefactMissing, Failed, FiguresUnreadable, Finished
from volano.schemas.registry import Failure

FIGURES_LIMIT = LINE_LIMIT // 2
"""Bytes of JSON; larger results belong into a file of the artefact folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One class to run, with what it is given."""

    place: Place
    params: Mapping[str, Any]
    model: type[Model] | None = None
    """The class where it is loaded already."""


def perform(work: Work, run: LocalRun, events: Events) -> Finished | Failed:
    """Run all phases and tell how it ended, as the last event and as the result.

    Never raises for what the user's code does; its traceback goes to stderr. Time that is up and a
    cancelled run have none: they may end any line.
    """
    try:
        with run.alarm():
            source, figures = _train_and_evaluate(work, run)
        # What is ours to look up does not count against the time of the user's code.
        finished = Finished(
            at_s=run.at_s(),
            figures=figures,
            files=artefacts.listed(run.artefact),
            seconds=run.phases,
            environment=environment(),
            source=source,
            peak_rss=peak_rss(),
        )
        events(finished)
        return finished
    except BaseException as error:  # noqa: BLE001 - the border to the user's code: all of it ends here
        if not isinstance(error, RunOutOfTime | RunCancelled | KeyboardInterrupt):
            traceback.print_exception(error)
        failure = failures.explain(error, work.place.project)
        failed = Failed(at_s=run.at_s(), failure=failure, peak_rss=peak_rss())
        events(failed)
        return failed


def exit_code(failure: Failure | None) -> int:
    """Return 0 for finished, 1 for the user's failure, 3 for ours, 130 for cancelled."""
    if failure is None:
        return 0
    if failure.class_ == "cancelled":
        return 130
    return 1 if failure.class_.startswith("user.") else 3


def seed_everything(seed: int) -> None:
    """Seed the global generators of `random`, and of numpy and torch where they are imported."""
    random.seed(seed)
    seeders: dict[str, Callable[[Any], object]] = {
        "numpy": lambda numpy: numpy.random.seed(seed % 2**32),
        "torch": lambda torch: torch.manual_seed(seed),
    }
    for name, seeder in seeders.items():
        if name in sys.modules:
            seeder(sys.modules[name])


def peak_rss() -> int:
    """Return the largest resident memory that this process had, bytes; 0 where not known."""
    # Not getrusage: its maximum includes what the parent had before exec.
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = (line.split() for line in status.read_text().splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:"), 0)


def _train_and_evaluate(work: Work, run: LocalRun) -> tuple[str, dict[str, Any]]:
    """Return the hash of the code that ran, and the figures of its evaluation."""
    with run.phase("load"):
        source = capture(work.place).hash
        model = (work.model or load(work.place))(**work.params)
    seed_everything(run.seed)
    with run.phase("train"):
        model.train(run)
    if not any(run.artefact.iterdir()):
        raise ArtefactMissing
    seed_everything(run.seed)
    with run.phase("evaluate"):
        return source, _figures(model.evaluate(run))


def _figures(returned: object) -> dict[str, Any]:
    """Convert what `evaluate` returned to JSON values; arrays become lists."""
    try:
        figures = msgspec.to_builtins(returned, enc_hook=_unarrayed)
    except TypeError as error:
        raise FiguresUnreadable(reason=str(error)) from None
    if not isinstance(figures, dict):
        raise FiguresUnreadable(reason=f"it is a {type(returned).__name__}")
    if (size := len(msgspec.json.encode(figures))) > FIGURES_LIMIT:
        raise FiguresUnreadable(reason=f"{size} bytes are over the limit of {FIGURES_LIMIT}")
    for path, value in _leaves(figures, ""):
        if isinstance(value, float) and not math.isfinite(value):
            raise FiguresUnreadable(reason=f"{path} is {value}")
    return figures


def _unarrayed(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    tolist: Callable[[], object] | None = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"a {type(value).__name__} is not a JSON value")
    return tolist()


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}".strip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value
