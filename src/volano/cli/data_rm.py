"""`volano data rm`: delete records for good."""

from typing import Annotated

from volano.cli import render
from volano.cli.data import EVERYTHING, Filter, chosen
from volano.cli.misuse import Misuse
from volano.cli.terminal import Here, note
from volano.schemas.data import RecordFilter
from volano.schemas.deletion import CountDiffers


def rm(
    ids: Annotated[list[str] | None, note("Ids of records.", metavar="ID")] = None,
    /,
    *,
    terminal: Here,
    which: Filter = EVERYTHING,
    confirm: Annotated[
        int | None, note("How many that are; without it, only say so.", metavar="COUNT")
    ] = None,
) -> None:
    """Delete records for good: these, or all that fit a filter, with their count confirmed.

    They are out of every listing and run at once. Snapshots that froze one keep its line and their
    hash; runs on them go without it. Its bytes go from the files within some two hours.

    Example:
        volano data rm 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
        volano data rm --label blank
        volano data rm --label blank --confirm 12
    """
    client = terminal.client
    if ids:
        if which != EVERYTHING:
            raise Misuse("Give ids or conditions, not both.")
        gone = client.deletions.delete_all(ids=ids, confirm=len(set(ids)))
    else:
        if which == EVERYTHING:
            raise Misuse("Say which records: ids, or conditions such as --label blank.")
        wanted: RecordFilter = chosen(which)
        try:
            gone = client.deletions.delete_all(filter=wanted, confirm=confirm or 0)
        except CountDiffers as differs:
            if confirm is not None:
                raise
            count = differs.facts["found"]
            terminal.say(f"These are {render.plural(count, 'record')}.")
            return terminal.then(f"the same with --confirm {count} deletes them")
    if terminal.format != "table":
        return terminal.document(gone)
    return terminal.confirm(f"{render.plural(gone.records, 'record')} deleted")
