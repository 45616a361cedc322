"""`volano snapshots`: frozen lists of records to train on."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from volano.cli import errors, render
from volano.cli.data import EVERYTHING, Filter, chosen
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note, path, whole

if TYPE_CHECKING:
    from volano.schemas.data import Snapshot

app = App(name="snapshots", help="Frozen lists of records to train on.")


def _splits(snapshot: "Snapshot") -> str:
    return "/".join(str(snapshot.by_split.get(name, 0)) for name in ("train", "valid", "test"))


COLUMNS: "Columns[Snapshot]" = {
    "ID": lambda snapshot: snapshot.id,
    "NAME": lambda snapshot: snapshot.name,
    "RECORDS": lambda snapshot: snapshot.records,
    "TRAIN/VALID/TEST": _splits,
    "CREATED": lambda snapshot: snapshot.created_at,
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Which records are in which split."""

    test_contributors: Annotated[
        list[str],
        note(
            "Whose records are the test split; else drawn at random.",
            metavar="PATTERN ...",
            many=True,
        ),
    ] = field(default_factory=list)
    split_by: Annotated[
        Literal["contributor", "group", "content", "given", "record", "none"],
        note(
            "What stays whole: all of a contributor, of a group, or of one content; `given`: as "
            "records came, the others by content; `none`: all train."
        ),
    ] = "contributor"
    stratified: Annotated[
        bool, note("Hold the shares for each label; by content, given or record.")
    ] = False
    test: Annotated[float, note("Share of them in the test split, if none are named.")] = 0.2
    valid: Annotated[float, note("Share of the others in the valid split.")] = 0.1
    seed: Annotated[int, note("Seed of the random draw.", converter=whole)] = 0


@app.command
def create(
    name: Annotated[str, note("Its name; a name means the newest snapshot that has it.")],
    /,
    *,
    terminal: Here,
    which: Filter = EVERYTHING,
    split: SplitOptions = SplitOptions(),
) -> None:
    """Freeze records into a snapshot, divided by contributor.

    No contributor is in two splits; with `--split-by content`, no two equal records are.
    Equal filters on equal data give the same hash.

    Example:
        volano snapshots create photos --split-by content --stratified
        volano snapshots create letters --origin omniglot --test-contributors '*-19' '*-20'
        volano snapshots create pets --dataset photos --split-by record
    """
    from volano.schemas.data import SplitRule

    given = asdict(split)
    rule = SplitRule(by=given.pop("split_by"), **given)
    snapshot = terminal.client.snapshots.create(name, filter=chosen(which), split=rule)
    terminal.show(snapshot, view)
    for warning in snapshot.warnings:
        terminal.warn(warning)
    terminal.then(f"volano train --snapshot {snapshot.name}")


@app.command
def ls(*, terminal: Here, limit: Limit = 50) -> None:
    """List snapshots, newest first, with the records of each split.

    Example:
        volano snapshots ls
    """
    none = "No snapshots yet: `volano snapshots create NAME` freezes all records."
    terminal.rows(terminal.client.snapshots.ls(), COLUMNS, limit=limit, none=none)


@app.command
def show(id: Annotated[str, note("Id or name.")], /, *, terminal: Here) -> None:
    """Show one snapshot: what it froze, by which rule.

    Example:
        volano snapshots show letters
    """
    terminal.show(terminal.client.snapshots.show(id), view)


@app.command
def pull(
    id: Annotated[str, note("Id or name.")],
    folder: Annotated[Path, path("Where to put it; made if needed.")],
    /,
    *,
    terminal: Here,
) -> None:
    """Fetch a snapshot with its drawings, to train without the server.

    Example:
        volano snapshots pull letters staged/
    """
    try:
        snapshot = terminal.client.snapshots.pull(id, folder)
    except OSError as error:
        raise errors.unusable(error, folder) from None
    if terminal.format != "table":
        return terminal.document(snapshot)
    terminal.confirm(f"{snapshot.name}: {render.plural(snapshot.records, 'record')} in {folder}")
    return terminal.then(f"volano train --local --data {folder}")


def view(snapshot: "Snapshot", look: Look) -> str:
    """Draw a snapshot as a card."""
    shown = ", ".join(snapshot.labels[:8])
    more = f" and {len(snapshot.labels) - 8} more" if len(snapshot.labels) > 8 else ""
    facts = {
        "id": snapshot.id,
        "name": snapshot.name,
        "hash": snapshot.hash,
        "records": f"{snapshot.records:,}",
        "splits": snapshot.by_split,
        "contributors": snapshot.contributors,
        "labels": f"{len(snapshot.labels)}: {shown}{more}",
        "filter": _given(snapshot.filter) or "everything",
        "split by": snapshot.split.by + (", stratified" if snapshot.split.stratified else ""),
        "tested by": snapshot.split.test_contributors or None,
        "created": snapshot.created_at,
    }
    return render.card(facts, look)


def _given(condition: object) -> str:
    """Return the parts of a filter that are not left open."""
    fields = getattr(condition, "__struct_fields__", ())
    given = {name: value for name in fields if (value := getattr(condition, name))}
    return "; ".join(f"{name} {render.cell(value, Look())}" for name, value in given.items())
