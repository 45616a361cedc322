"""`volano data quarantine`: what the server keeps but cannot read."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns
from volano.cli.terminal import Here, Limit, note

if TYPE_CHECKING:
    from volano.schemas.loop import QuarantinedRow

app = App(name="quarantine", help="What was stored but cannot be read: list, retry, delete.")

COLUMNS: "Columns[QuarantinedRow]" = {
    "ID": lambda row: row.id,
    "STREAM": lambda row: row.stream,
    "OF": lambda row: row.subject,
    "SIZE": lambda row: render.size(row.bytes),
    "RECEIVED": lambda row: row.received_at,
    "REASON": lambda row: row.reason,
}


@app.command
def ls(*, terminal: Here, limit: Limit = 50) -> None:
    """List what was acknowledged but cannot be read, each with its reason.

    Example:
        volano data quarantine ls
    """
    rows = terminal.client.quarantine.ls()
    terminal.rows(rows, COLUMNS, limit=limit, none="Nothing is in quarantine.")


@app.command
def retry(
    ids: Annotated[
        list[str] | None, note("Ids of the listing; else all.", metavar="ID ...")
    ] = None,
    /,
    *,
    terminal: Here,
) -> None:
    """Let the server read them again, once the cause is gone; what fails comes back.

    Example:
        volano data quarantine retry
        volano data quarantine retry 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
    """
    retried = terminal.client.quarantine.retry(ids)
    if terminal.format != "table":
        return terminal.document(retried)
    if not retried.rows:
        return terminal.say("Nothing is in quarantine.")
    terminal.confirm(f"{render.plural(retried.rows, 'row')} will be read again")
    terminal.then("volano data quarantine ls")
    return None


@app.command
def rm(
    ids: Annotated[list[str] | None, note("Ids of the listing.", metavar="ID ...")] = None,
    /,
    *,
    terminal: Here,
    all: Annotated[bool, note("Delete everything in quarantine.")] = False,
) -> None:
    """Delete for good what cannot be read.

    Example:
        volano data quarantine rm 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
        volano data quarantine rm --all
    """
    if bool(ids) == all:
        raise Misuse("Give ids, or --all; `volano data quarantine ls` lists them.")
    quarantine = terminal.client.quarantine
    gone = ids or [row.id for row in quarantine.ls()]
    for id in gone:
        quarantine.rm(id)
    if terminal.format != "table":
        return terminal.document({"deleted": gone})
    terminal.confirm(f"{render.plural(len(gone), 'row')} deleted")
    return None
