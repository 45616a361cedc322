"""`--local`: the same phases in the caller's own process, where a debugger and a notebook work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from volano.harness.events import Events
from volano.harness.model import Model
from volano.harness.phases import Work, perform
from volano.harness.run import LocalRun
from volano.harness.source import locate, place_of
from volano.schemas.harness import Failed, Finished


def train(
    model: type[Model] | str | Path,
    data_dir: Path,
    out_dir: Path,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    seconds: float = 300.0,
    on_event: Events | None = None,
) -> Finished | Failed:
    """Train and evaluate here, and return the last event, which says what came of it.

    `data_dir` is a staged snapshot, `out_dir` becomes the artefact folder and is made if needed.
    Ctrl-C ends the run as cancelled. What the model prints goes where the caller prints.
    Raises: SourceMissing, UnknownRecipe.
    """
    if isinstance(model, type):
        work = Work(place=place_of(model), params=params or {}, model=model)
    else:
        work = Work(place=locate(str(model)), params=params or {})
    out_dir.mkdir(parents=True, exist_ok=True)
    events = on_event or (lambda _event: None)
    run = LocalRun(data=data_dir, artefact=out_dir, seed=seed, seconds=seconds, events=events)
    return perform(work, run, events)
