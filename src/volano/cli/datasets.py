"""`volano datasets`: records that belong together."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note

if TYPE_CHECKING:
    from volano.schemas.datasets import Dataset

app = App(name="datasets", help="Records that belong together, each with the same fields.")

COLUMNS: "Columns[Dataset]" = {
    "NAME": lambda dataset: dataset.name,
    "KIND": lambda dataset: ", ".join(dataset.fields.values()),
    "RECORDS": lambda dataset: dataset.records,
    "LICENCE": lambda dataset: dataset.licence,
    "CREATED": lambda dataset: dataset.created_at,
}


@app.command
def ls(*, terminal: Here, limit: Limit = 0) -> None:
    """List datasets with the records that each has.

    Example:
        volano datasets ls
    """
    none = "No datasets yet: `volano datasets create photos` makes one."
    terminal.rows(terminal.client.datasets.ls(), COLUMNS, limit=limit, none=none)


@app.command
def show(name: Annotated[str, note("Its name.")], /, *, terminal: Here) -> None:
    """Show one dataset: what it holds, and the labels of its records.

    Example:
        volano datasets show photos
    """
    terminal.show(terminal.client.datasets.show(name), view)


@app.command
def create(
    name: Annotated[str, note("Lower case, digits, `_ . -`.")],
    /,
    *,
    terminal: Here,
    field: Annotated[
        list[str] | None,
        note(
            "A kind (drawing, image, text, table, file), or NAME=KIND for each of several fields.",
            metavar="KIND",
        ),
    ] = None,
    licence: Annotated[str, note("What may be done with it.")] = "",
    source: Annotated[str, note("Where it comes from.")] = "",
    description: Annotated[str, note("What it is.")] = "",
) -> None:
    """Make a dataset, of images unless another kind is given.

    Example:
        volano datasets create photos --licence CC-BY-4.0
        volano datasets create captions --field photo=image --field caption=text
    """
    made = terminal.client.datasets.create(
        name,
        _fields(field or ["image"]),
        licence=licence,
        source=source,
        description=description,
    )
    if terminal.format != "table":
        return terminal.document(made)
    terminal.confirm(f"{made.name} is there")
    return terminal.then(f"volano data import PATH --dataset {made.name}")


@app.command
def edit(
    name: Annotated[str, note("Its name.")],
    /,
    *,
    terminal: Here,
    licence: Annotated[str | None, note("What may be done with it.")] = None,
    source: Annotated[str | None, note("Where it comes from.")] = None,
    description: Annotated[str | None, note("What it is.")] = None,
    archived: Annotated[
        Literal["yes", "no"] | None, note("Whether it takes no more records.")
    ] = None,
) -> None:
    """Change what a dataset says of itself, or archive it.

    Example:
        volano datasets edit photos --licence CC0-1.0
        volano datasets edit photos --archived yes
    """
    changed = terminal.client.datasets.edit(
        name,
        licence=licence,
        source=source,
        description=description,
        archived=None if archived is None else archived == "yes",
    )
    terminal.show(changed, view)


@app.command
def rm(name: Annotated[str, note("Its name.")], /, *, terminal: Here) -> None:
    """Remove a dataset that has no records.

    Example:
        volano datasets rm photos
    """
    terminal.client.datasets.rm(name)
    terminal.confirm(f"{name} is removed")


def _fields(given: list[str]) -> dict[str, str]:
    """Return the kind of each field; a lone kind is the name of its field, too.

    Raises: Misuse (a field is named twice).
    """
    fields: dict[str, str] = {}
    for one in given:
        name, _, kind = one.rpartition("=")
        if (name or kind) in fields:
            raise Misuse(f"the field {name or kind!r} is given twice")
        fields[name or kind] = kind
    return fields


def view(dataset: "Dataset", look: Look) -> str:
    """Draw a dataset as a card."""
    shown = ", ".join(dataset.labels[:8])
    more = f" and {len(dataset.labels) - 8} more" if len(dataset.labels) > 8 else ""
    facts = {
        "name": dataset.name,
        "fields": ", ".join(f"{name}: {kind}" for name, kind in dataset.fields.items()),
        "records": f"{dataset.records:,}",
        "labels": f"{len(dataset.labels)}: {shown}{more}" if dataset.labels else None,
        "licence": dataset.licence or None,
        "source": dataset.source or None,
        "description": dataset.description or None,
        "created": dataset.created_at,
        "archived": dataset.archived_at,
    }
    return render.card(facts, look)
