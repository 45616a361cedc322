"""A run as it goes: a bar, its metrics as sparklines, how long it has been at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from volano.cli import errors, render
from volano.cli.progress import Live
from volano.cli.render import Ink
from volano.cli.run_card import STATE_STYLES, conclude, view
from volano.cli.terminal import Terminal
from volano.schemas.registry import Progress, Run

Curves = Mapping[str, Sequence[float]]
"""Metric -> its values in the order they were logged."""

_CURVES = 4
_CELLS = 40


def follow(terminal: Terminal, id: str, *, advise: bool = True) -> int:
    """Show a run until it is over; return the exit code that fits how it ended.

    On Ctrl-C it stays running and the person is told how to come back to it. Without `advise`
    nothing is said of what to do with a finished one.
    """
    run: Run | None = None
    try:
        with Live(terminal.err, in_place=terminal.live) as live:
            for now in terminal.client.runs.watch(id, changed=False):
                if terminal.format == "jsonl" and now != run:
                    terminal.document(now)
                _draw(terminal, live, run := now)
    except KeyboardInterrupt:
        state = run.state if run else "running"
        terminal.say(f"\n{id} is still {state}.")
        terminal.then(f"volano runs watch {id}", f"volano runs cancel {id}")
        return errors.INTERRUPTED
    assert run is not None, "a run is shown at least once"
    if terminal.format != "jsonl":
        terminal.show(run, view)
    return 0 if run.state == "finished" and not advise else conclude(terminal, run)


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a run is."""

    state: str
    progress: Progress
    elapsed_s: float


def frame(moment: Moment, curves: Curves, ink: Ink) -> list[str]:
    """Draw a run as lines, of which the first says all that a log needs."""
    most = sorted(curves.items(), key=_interest)[:_CURVES]
    shown = [(render.visible(name), values) for name, values in most]
    total = moment.progress.total
    done = min(1.0, moment.progress.done / total) if total else 0.0
    parts = [
        ink(STATE_STYLES.get(moment.state, "dim"), moment.state),
        f"{done:.0%}" if total else "",
        render.visible(moment.progress.note),
        render.span(moment.elapsed_s),
        "  ".join(f"{name} {render.figure(values[-1])}" for name, values in shown if values),
    ]
    wide = max((len(name) for name, _ in shown), default=0)
    return [
        "  ".join(part for part in parts if part),
        ink("cyan", render.pad(render.bar(done, _CELLS), _CELLS)),
        *(f"{name:{wide}}  {render.sparkline(values, _CELLS)}" for name, values in shown),
    ]


def _interest(curve: tuple[str, Sequence[float]]) -> int:
    """Return the place of a curve: losses and accuracies come first."""
    return 0 if any(word in curve[0] for word in ("loss", "accuracy")) else 1


def _draw(terminal: Terminal, live: Live, run: Run) -> None:
    def lines() -> list[str]:
        series = terminal.client.runs.series(run.id) if run.started_at else []
        curves = {one.metric: one.values for one in series}
        return frame(_moment(run), curves, terminal.ink)

    live.draw(lines, last=run.finished_at is not None)


def _moment(run: Run) -> Moment:
    begin, end = run.started_at or run.created_at, run.finished_at or datetime.now(UTC)
    waiting = Progress(note="waits for a worker")
    progress = waiting if run.state == "queued" else run.progress
    if run.finished_at is not None:  # its last phase is over as well
        progress = replace(progress, note="")
    return Moment(run.state, progress, max(0.0, (end - begin).total_seconds()))
