"""`volano runs`: trainings, as they go and as they went."""

from typing import Annotated

from cyclopts import App

from volano.cli.render import Columns
from volano.cli.run_card import conclude, state, view
from volano.cli.run_progress import follow
from volano.cli.terminal import Here, Limit, note
from volano.schemas.registry import Run, RunState

app = App(name="runs", help="Trainings: list, watch, cancel.")

RunId = Annotated[str, note("Id of a run.")]

COLUMNS: Columns[Run] = {
    "ID": lambda run: run.id,
    "MODEL": lambda run: run.model,
    "STATE": state,
    "ACCURACY": lambda run: run.metrics.get("accuracy"),
    "CREATED": lambda run: run.created_at,
    "WHY": lambda run: run.failure and run.failure.message,
}


@app.command
def ls(
    *,
    terminal: Here,
    state: Annotated[RunState | None, note("Only in this state.")] = None,
    model: Annotated[str | None, note("Only of this model.", metavar="NAME")] = None,
    limit: Limit = 20,
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
    """Print what the run's code printed; while it goes on, the latest of it.

    Example:
        volano runs log run_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    text = terminal.client.runs.log(id).rstrip("\n")
    if text:
        return terminal.print(text)
    return terminal.say("It has printed nothing.")
