"""`volano jobs`: the background work of a workspace."""

from typing import Annotated

from cyclopts import App

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note
from volano.schemas.jobs import JobInfo, State

app = App(name="jobs", help="Background work: list, look into, try again.")

STATE_STYLES = {"done": "green", "dead": "red", "cancelled": "yellow", "running": "cyan"}

COLUMNS: Columns[JobInfo] = {
    "ID": lambda job: job.id,
    "TOPIC": lambda job: job.topic,
    "STATE": lambda job: job.state,
    "ATTEMPT": lambda job: job.attempt,
    "CREATED": lambda job: job.created_at,
    "WHY": lambda job: (job.failure or {}).get("message"),
}


@app.command
def ls(
    *,
    terminal: Here,
    state: Annotated[State | None, note("Only in this state.")] = None,
    topic: Annotated[str | None, note("Only of this topic.", metavar="NAME")] = None,
    limit: Limit = 20,
) -> None:
    """List background work, newest first; dead jobs failed for good.

    A topic says what for: `run.requested` is a training, `records.compact` moves drawings that were
    stored lately to where they are listed, `blobs.sweep` deletes what nothing refers to.

    Example:
        volano jobs ls --state dead
    """
    jobs = terminal.client.jobs.ls(state=state, topic=topic)
    terminal.rows(jobs, COLUMNS, limit=limit, none="No job fits." if state or topic else "No jobs.")


@app.command
def show(id: Annotated[str, note("Id of a job.")], /, *, terminal: Here) -> None:
    """Show one job: how far it is, or why it failed.

    Example:
        volano jobs show job_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    job = terminal.client.jobs.show(id)
    terminal.show(job, view)
    if job.state == "dead" and terminal.format == "table":
        terminal.then(f"volano jobs requeue {job.id}")


@app.command
def requeue(
    ids: Annotated[list[str] | None, note("Ids of dead jobs.", metavar="ID ...")] = None,
    /,
    *,
    terminal: Here,
    signature: Annotated[
        str | None, note("All that failed alike, as `jobs show` tells.", metavar="TEXT")
    ] = None,
    all: Annotated[bool, note("Every dead job of the workspace.")] = False,
) -> None:
    """Try jobs again that failed for good, once the cause is gone.

    Example:
        volano jobs requeue job_0198c5e07d317c4e9a503f1b6f7f2a10
        volano jobs requeue --all
    """
    if [bool(ids), signature is not None, all].count(True) != 1:
        raise Misuse("Give ids, --signature or --all; `volano jobs ls --state dead` lists them.")
    requeued = terminal.client.jobs.requeue(ids, signature=signature)
    if terminal.format != "table":
        return terminal.document(requeued)
    if not requeued.jobs:
        return terminal.say("No job is dead.")
    terminal.confirm(f"{render.plural(requeued.jobs, 'job')} will be tried again")
    terminal.then("volano jobs ls")
    return None


def view(job: JobInfo, look: Look) -> str:
    """Return a job as a card."""
    failure = job.failure or {}
    facts: dict[str, object] = {
        "id": job.id,
        "topic": job.topic,
        "state": look.ink(STATE_STYLES.get(job.state, "dim"), job.state),
        "about": job.payload or None,
        "progress": job.progress,
        "attempt": job.attempt,
        "why": failure.get("message"),
        "kind of failure": failure.get("class"),
        "at": ", ".join(failure.get("at") or ()) or None,
        "signature": job.signature,
        "created": job.created_at,
        "started": job.started_at,
        "finished": job.finished_at,
    }
    return render.card(facts, look)
