"""`--local`: the same phases in the caller's own process, where a debugger and a notebook work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from volano.harness.events import Events
from volano.harness.model import Model
from volano.harness.phases import Work, perform
from volano.harness.run import LocalRun
from volano.harness.source import locate, place_of
from volano.schemas.harness import AnyEvent, Failed, Finished


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
    """Train and evaluate here; the last event, which says what came of it.

    `data_dir` is a staged snapshot, `out_dir` becomes the artefact folder and is made if needed.
    Ctrl-C ends the run as cancelled. What the model prints goes where the caller prints.
    Raises: SourceMissing, UnknownRecipe.
    """
    work = _work(model, params or {})
    out_dir.mkdir(parents=True, exist_ok=True)
    events = on_event or _unheard
    run = LocalRun(data=data_dir, artefact=out_dir, seed=seed, seconds=seconds, events=events)
    return perform(work, run, events)


def _work(model: type[Model] | str | Path, params: Mapping[str, Any]) -> Work:
    if isinstance(model, type):
        return Work(place=place_of(model), params=params, model=model)
    return Work(place=locate(str(model)), params=params)


def _unheard(_event: AnyEvent) -> None:
    """Drop an event that nobody listens to."""
