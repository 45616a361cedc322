"""`volano train --local`: the harness in this process, its events on this terminal."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from volano.cli import errors, render
from volano.cli.progress import Live
from volano.cli.run_card import NAMES, tell_failure
from volano.cli.run_progress import Moment, frame
from volano.cli.terminal import Terminal
from volano.harness import local
from volano.schemas.errors import Invalid
from volano.schemas.harness import AnyEvent, Failed, Finished, Phase, Points, Reached, Warned
from volano.schemas.registry import Progress


class NotStaged(Invalid):
    """The folder {folder} holds no snapshot: there is no snapshot.json in it."""

    remedy = "Fetch one with `volano snapshots pull NAME FOLDER`."


def train_here(
    terminal: Terminal,
    recipe: str,
    data: Path,
    out: Path,
    params: Mapping[str, Any],
    *,
    seed: int,
    seconds: float,
) -> int:
    """Train and evaluate in this process; return the exit code that fits how it ended."""
    if not (data / "snapshot.json").is_file():
        raise NotStaged(folder=str(data))
    with Live(terminal.err, in_place=terminal.live) as live:
        board = _Board(terminal, live)
        end = local.train(
            recipe, data, out, params=params, seed=seed, seconds=seconds, on_event=board.hear
        )
        board.draw(last=True)
    for warning in board.warnings:
        terminal.say(terminal.ink("yellow", "warning: ") + render.visible(warning))
    if isinstance(end, Finished):
        terminal.show(end, lambda finished, look: render.card(_facts(finished, out), look))
        return 0
    return _failed(terminal, end)


class _Board:
    """What a run has told so far."""

    def __init__(self, terminal: Terminal, live: Live) -> None:
        self._terminal = terminal
        self._live = live
        self._start = time.monotonic()
        self._phase = "starting"
        self._progress = Progress()
        self._curves: dict[str, list[float]] = {}
        self.warnings: list[str] = []

    def hear(self, event: AnyEvent) -> None:
        match event:
            case Phase():
                self._phase = event.name
            case Reached():
                self._progress = event.progress
            case Points():
                for point in event.points:
                    for name, value in point.values.items():
                        self._curves.setdefault(name, []).append(value)
            case Warned():
                self.warnings.append(event.text)
        self.draw()

    def draw(self, *, last: bool = False) -> None:
        self._live.draw(self._lines, last=last)

    def _lines(self) -> list[str]:
        moment = Moment(self._phase, self._progress, time.monotonic() - self._start)
        return frame(moment, self._curves, self._terminal.ink)


def _facts(end: Finished, out: Path) -> dict[str, object]:
    figures = end.figures.items()
    numbers = {NAMES.get(k, k): v for k, v in figures if isinstance(v, int | float)}
    times = {f"{phase} took": render.span(s) for phase, s in end.seconds.items()}
    return {**numbers, **times, "artefact": f"{out}: {', '.join(f.name for f in end.files)}"}


def _failed(terminal: Terminal, end: Failed) -> int:
    if terminal.format != "table":
        terminal.document(end)
    code = tell_failure(terminal, end.failure)
    return errors.INTERRUPTED if end.failure.class_ == "cancelled" else code
