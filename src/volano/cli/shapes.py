"""`volano shapes`: what contributors are asked to draw."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App

from volano.cli.render import Columns
from volano.cli.terminal import Here, Limit, note

if TYPE_CHECKING:
    from volano.schemas.labeling import Shape

app = App(name="shapes", help="What contributors are asked to draw.")

COLUMNS: "Columns[Shape]" = {
    "NAME": lambda shape: shape.name,
    "DIFFICULTY": lambda shape: shape.difficulty,
    "DRAWINGS": lambda shape: shape.drawings,
    "ASKED": lambda shape: shape.active,
    "DESCRIPTION": lambda shape: shape.description,
}


@app.command
def ls(*, terminal: Here, limit: Limit = 0) -> None:
    """List the shapes with the drawings that there are of each.

    Example:
        volano shapes ls
    """
    none = "No shapes yet: `volano shapes add circle` adds one."
    terminal.rows(terminal.client.shapes.ls(), COLUMNS, limit=limit, none=none)


@app.command
def add(
    name: Annotated[str, note("Lower case, digits, `_ . -`.")],
    /,
    *,
    terminal: Here,
    description: Annotated[str, note("What to tell contributors.")] = "",
    difficulty: Annotated[
        Literal["easy", "medium", "hard"], note("How hard it is to draw.")
    ] = "easy",
) -> None:
    """Ask for one more shape.

    Example:
        volano shapes add spiral --difficulty medium --description "at least two turns"
    """
    shape = terminal.client.shapes.add(name, description=description, difficulty=difficulty)
    if terminal.format != "table":
        return terminal.document(shape)
    return terminal.confirm(f"{shape.name} is asked for now")
