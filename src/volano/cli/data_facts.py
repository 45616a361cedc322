"""`volano data label`, `flag`, `tag`, `history`: what is stated of records after they came."""

import json
from typing import TYPE_CHECKING, Annotated, Any

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns
from volano.cli.terminal import Here, Terminal, note
from volano.schemas.data import RecordFilter

if TYPE_CHECKING:
    from volano.schemas.attributes import Attribute

HISTORY: "Columns[Attribute]" = {
    "WHEN": lambda one: one.at,
    "WHAT": lambda one: one.name,
    "VALUE": lambda one: shown(one.value),
    "BY": lambda one: one.by or "came so",
}

_LONGEST = 60  # of a value in a table


def label(
    id: Annotated[str | None, note("Id of a record.")] = None,
    label: Annotated[str | None, note("What it shows; '' for nobody knows.")] = None,
    /,
    *,
    terminal: Here,
    where_label: Annotated[
        list[str] | None, note("Instead of one: all that have this label.", metavar="LABEL")
    ] = None,
    dataset: Annotated[str | None, note("Of these, only this dataset's.", metavar="NAME")] = None,
    to: Annotated[str | None, note("The label that they get.", metavar="LABEL")] = None,
    dry_run: Annotated[bool, note("Only say how many that would be.")] = False,
) -> None:
    """Correct the label of a record, or of all that have a label.

    Snapshots keep the labels that they froze; what a record was called before is in its history.

    Example:
        volano data label 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10 cat
        volano data label --where-label kat --to cat --dry-run
    """
    if id is not None:
        if label is None or where_label or to is not None or dry_run or dataset:
            raise Misuse("Give an id and a label; or --where-label and --to without an id.")
        return _state(terminal, id, "label", label)
    if not where_label or to is None:
        raise Misuse("Say which records: an id and a label, or --where-label and --to.")
    wanted = RecordFilter(labels=where_label, datasets=[dataset] if dataset else [])
    found = terminal.client.attributes.state_all("label", to, filter=wanted, dry_run=dry_run)
    if terminal.format != "table":
        return terminal.document(found)
    count = render.plural(found.records, "record")
    if dry_run:
        return terminal.say(f"{count} would become {to!r}")
    return terminal.confirm(f"{count} became {to!r}")


def flag(
    id: Annotated[str, note("Id of a record.")],
    flag: Annotated[str, note("A short name, such as blurry.")],
    /,
    *,
    terminal: Here,
    remove: Annotated[bool, note("Take the flag away.")] = False,
) -> None:
    """Flag a record, so that `--without-flag` leaves it out.

    Example:
        volano data flag 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10 blurry
        volano snapshots create sharp --without-flag blurry
    """
    _state(terminal, id, "unflag" if remove else "flag", flag)


def tag(
    id: Annotated[str, note("Id of a record.")],
    name: Annotated[str, note("Name of the tag; or split, or quality.")],
    value: Annotated[str, note("Its value: JSON, or text as it is.")],
    /,
    *,
    terminal: Here,
) -> None:
    """State anything of a record under a name: a tag, its split, its quality.

    Example:
        volano data tag 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10 weather rain
        volano data tag 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10 split test
    """
    try:
        meant: Any = json.loads(value)
    except ValueError:
        meant = value
    _state(terminal, id, name, meant)


def history(id: Annotated[str, note("Id of a record.")], /, *, terminal: Here) -> None:
    """Show all that was stated of a record, in order.

    Example:
        volano data history 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
    """
    stated = terminal.client.attributes.history(id)
    terminal.rows(
        iter(stated), HISTORY, limit=0, none="It is as it came: nothing was stated since."
    )


def shown(value: object) -> str:
    """Return the value of an attribute as a table has room for it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _state(terminal: Terminal, id: str, name: str, value: object) -> None:
    stated = terminal.client.attributes.state(id, name, value)
    if terminal.format != "table":
        return terminal.document(stated)
    terminal.confirm(f"{name} {shown(value)!r}")
    return terminal.then(f"volano data history {id}")
