"""`volano runs`: trainings, as they go and as they went."""

from typing import Annotated

from cyclopts import App

from volano.cli import problems, render
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Terminal, note
from volano.spec.registry import Run, RunState

app = App(name="runs", help="Trainings: list, watch, cancel.")

RunId = Annotated[str, note("Id of a run.")]

STATE_STYLES = {"finished": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}

COLUMNS: Columns[Run] = {
    "ID": lambda run: run.id,
    "MODEL": lambda run: run.model,
    "STATE": lambda run: run.state,
    "DONE": lambda run: percent(run),
    "ACCURACY": lambda run: run.metrics.get("accuracy"),
    "TOOK": lambda run: took(run),
    "CREATED": lambda run: run.created_at,
    "WHY": lambda run: run.failure and run.failure.message,
}


@app.command
def ls(
    *,
    terminal: Here,
    state: Annotated[
        RunState | None,
        note("Only in this state."),
    ] = None,
    model: Annotated[str | None, note("Only of this model.", metavar="NAME")] = None,
    limit: Annotated[int, note("Show at most so many; 0 for all.")] = 20,
) -> None:
    """List runs, newest first.

    Example:
        volano runs ls --state running
    """
    runs = terminal.client.runs.ls(state=state, model=model)
    none = (
        "No run fits." if state or model else "No runs: `volano train --snapshot NAME` starts one."
    )
    terminal.rows(runs, COLUMNS, limit=limit, none=none)


@app.command
def show(id: RunId, /, *, terminal: Here) -> None:
    """Show one run: its parameters, how far it is, what came of it.

    Example:
        volano runs show run_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    run = terminal.client.runs.show(id)
    terminal.show(run, view)
    conclude(terminal, run)


@app.command
def watch(id: RunId, /, *, terminal: Here) -> int:
    """Follow a run until it is over; Ctrl-C leaves it running.

    Example:
        volano runs watch run_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    from volano.cli.watching import follow

    return follow(terminal, id)


@app.command
def cancel(id: RunId, /, *, terminal: Here) -> None:
    """Stop a run; what it has learnt so far is dropped.

    Example:
        volano runs cancel run_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    run = terminal.client.runs.cancel(id)
    if terminal.format == "table":
        return terminal.confirm(f"{run.id} is {run.state}")
    return terminal.document(run)


@app.command
def log(id: RunId, /, *, terminal: Here) -> None:
    """Print what the run's code printed.

    Example:
        volano runs log run_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    text = terminal.client.runs.log(id).rstrip("\n")
    if text:
        return terminal.print(text)
    return terminal.say("It has printed nothing, or is not over yet.")


def view(run: Run, look: Look) -> str:
    """A run as a card."""
    facts: dict[str, object] = {
        "id": run.id,
        "state": look.ink(STATE_STYLES.get(run.state, "dim"), run.state),
        "progress": f"{percent(run)} {run.progress.note}" if run.finished_at is None else None,
        "model": run.model,
        "recipe": run.recipe,
        "snapshot": run.snapshot,
        "params": run.params or None,
        "seed": run.seed,
        "allowed": render.span(run.seconds),
        "took": took(run),
        "attempt": run.attempt if run.attempt > 1 else None,
        "created": run.created_at,
        "version": run.version,
    }
    parts = [render.card(facts, look), render.card(run.metrics, look)]
    return "\n\n".join(part for part in parts if part)


def conclude(terminal: Terminal, run: Run) -> int:
    """Say how a run ended and what to do now; the exit code that fits."""
    if run.state == "finished" and run.version:
        terminal.then(f"volano versions activate {run.version}", f"volano explain {run.version}")
    if run.state != "failed" or run.failure is None:
        return problems.USER if run.state == "cancelled" else 0
    failure = run.failure
    terminal.say(terminal.ink("red", "failed: ") + f"{failure.class_}: {failure.message}")
    if failure.frame:
        terminal.say(f"        at {failure.frame}")
    terminal.then(f"volano runs log {run.id}")
    return problems.SYSTEM if failure.class_.startswith("system.") else problems.USER


def percent(run: Run) -> str:
    """How far a run is; empty where it has not said."""
    return f"{run.progress.done / run.progress.total:.0%}" if run.progress.total else ""


def took(run: Run) -> str | None:
    """How long a run worked; None until it is over."""
    if run.started_at is None or run.finished_at is None:
        return None
    return render.span((run.finished_at - run.started_at).total_seconds())
