"""A run as text: its card, its few words in a table, and what to say when it is over."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from volano.cli import errors, render
from volano.cli.render import Look
from volano.cli.terminal import Terminal
from volano.schemas.registry import Failure, Run

STATE_STYLES: Final = {
    "finished": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
}

NAMES: Final = {
    "ece": "calibration error after",
    "ece_before": "calibration error before",
    "ece_after": "calibration error after",
}
"""What a metric is called where its own name is an abbreviation."""

INTERVAL: Final = ("low", "high", "level")


def view(run: Run, look: Look) -> str:
    """Draw a run as a card."""
    facts: dict[str, object] = {
        "id": run.id,
        "state": look.ink(STATE_STYLES.get(run.state, "dim"), run.state),
        "progress": f"{percent(run)} {run.progress.note}" if run.finished_at is None else None,
        "model": run.model,
        "recipe": run.recipe,
        "snapshot": run.snapshot,
        "params": _params(run) or None,
        "seed": run.seed,
        "allowed": render.span(run.seconds),
        "took": took(run),
        "attempt": run.attempt if run.attempt > 1 else None,
        "created": run.created_at,
        "version": run.version,
    }
    parts = [render.card(facts, look), figures(run.metrics, look), warned(run.warnings, look)]
    return "\n\n".join(part for part in parts if part)


def _params(run: Run) -> dict[str, Any]:
    """Return the parameters, without a time that is longer than the run is allowed anyway."""
    given = run.params.get("seconds")
    is_bound = isinstance(given, int | float) and given < run.seconds
    return {name: v for name, v in run.params.items() if name != "seconds" or is_bound}


def figures(metrics: Mapping[str, float], look: Look) -> str:
    """Draw the figures of a run or a version, the interval of the accuracy beside it."""
    shown: dict[str, object] = dict(metrics)
    low, high, level = (shown.pop(f"accuracy_interval_{end}", None) for end in INTERVAL)
    if isinstance(low, float) and isinstance(high, float) and isinstance(level, float):
        right = render.figure(metrics.get("accuracy", 0.0))
        ends = f"{render.figure(low)} to {render.figure(high)}"
        shown["accuracy"] = f"{right} ({ends} with {level:.0%} confidence)"
    return render.card({NAMES.get(name, name): value for name, value in shown.items()}, look)


def warned(warnings: Sequence[str], look: Look) -> str:
    """Return warnings as lines of text; empty without any."""
    return "\n".join(look.ink("yellow", "warning: ") + render.visible(one) for one in warnings)


def conclude(terminal: Terminal, run: Run) -> int:
    """Say how a run ended and what to do now; return the exit code that fits."""
    if run.state == "finished" and run.version:
        terminal.then(f"volano versions activate {run.version}", f"volano explain {run.version}")
    if run.state != "failed" or run.failure is None:
        return errors.USER if run.state == "cancelled" else 0
    code = tell_failure(terminal, run.failure)
    terminal.then(f"volano runs log {run.id}")
    return code


def tell_failure(terminal: Terminal, failure: Failure) -> int:
    """Say why a training failed; return the exit code that says whose turn it is."""
    what = render.visible(f"{failure.class_}: {failure.message}")
    terminal.say(terminal.ink("red", "failed: ") + what)
    if failure.frame:
        terminal.say(f"        at {render.visible(failure.frame)}")
    if failure.remedy:
        terminal.say(f"        {render.visible(failure.remedy)}")
    return errors.SYSTEM if failure.class_.startswith("system.") else errors.USER


def state(run: Run) -> str:
    """Return the state of a run, and how far it is while it works."""
    return f"{run.state} {percent(run)}" if run.state == "running" else run.state


def percent(run: Run) -> str:
    """Return how far a run is; an empty text where it has not said."""
    return f"{run.progress.done / run.progress.total:.0%}" if run.progress.total else ""


def took(run: Run) -> str | None:
    """Return how long a run worked; None until it is over."""
    if run.started_at is None or run.finished_at is None:
        return None
    return render.span((run.finished_at - run.started_at).total_seconds())
