"""`volano endpoints`: what answers, and what did before."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from volano.cli import render
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note

if TYPE_CHECKING:
    from volano.schemas.serving import Endpoint, Rollout

app = App(name="endpoints", help="Where versions answer: list, look at.")

COLUMNS: "Columns[Endpoint]" = {
    "NAME": lambda endpoint: endpoint.name,
    "MODEL": lambda endpoint: endpoint.model,
    "VERSION": lambda endpoint: endpoint.version,
    "CHANGES": lambda endpoint: endpoint.sequence,
}

HISTORY: "Columns[Rollout]" = {
    "VERSION": lambda rollout: rollout.version,
    "FROM": lambda rollout: rollout.at,
    "BY": lambda rollout: rollout.by,
    "REASON": lambda rollout: rollout.reason,
}


@app.command
def ls(*, terminal: Here, limit: Limit = 50) -> None:
    """List endpoints with the version that answers on each.

    Example:
        volano endpoints ls
    """
    none = "Nothing answers yet: `volano versions activate ID` puts a version on an endpoint."
    terminal.rows(terminal.client.endpoints.ls(), COLUMNS, limit=limit, none=none)


@app.command
def show(name: Annotated[str, note("Name of an endpoint.")], /, *, terminal: Here) -> None:
    """Show one endpoint with everything that has answered on it.

    Example:
        volano endpoints show drawing
    """
    terminal.show(terminal.client.endpoints.show(name), view)


def view(endpoint: "Endpoint", look: Look) -> str:
    """Draw an endpoint as a card, its history below."""
    facts = {
        "name": endpoint.name,
        "model": endpoint.model,
        "version": endpoint.version,
        "changes": endpoint.sequence,
    }
    return f"{render.card(facts, look)}\n\n{render.table(endpoint.history, HISTORY, look)}"
