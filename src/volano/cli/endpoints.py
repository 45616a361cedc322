"""`volano endpoints`: what answers, and what did before."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from volano.cli import render
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note
from volano.schemas.errors import Invalid

if TYPE_CHECKING:
    from volano.schemas.serving import Endpoint, Rollout, Share

app = App(name="endpoints", help="Where versions answer: list, look at, say what is logged.")


class NotAShare(Invalid):
    """{option} cannot be {text!r}."""

    remedy = "Give all, none, or a share between 0 and 1."


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


@app.command(name="set")
def configure(
    name: Annotated[str, note("Name of an endpoint.")],
    /,
    *,
    log: Annotated[str, note("Predictions to keep: all, none, or a share such as 0.1.")] = "",
    inputs: Annotated[
        str, note("Of those, how many with what was sent: all, none, or a share.")
    ] = "",
    durable: Annotated[
        bool | None,
        Parameter(
            help="Answer only after what is logged is stored; --no-durable: at once.",
            negative="--no-durable",
        ),
    ] = None,
    terminal: Here,
) -> None:
    """Say what an endpoint keeps of its predictions; what is left out stays as it is.

    Example:
        volano endpoints set photos --log 0.1 --inputs none
        volano endpoints set photos --durable
    """
    change = {"log": _share(log, "--log"), "inputs": _share(inputs, "--inputs")}
    terminal.show(terminal.client.endpoints.configure(name, **change, durable=durable), view)


def _share(text: str, option: str) -> "Share | None":
    import msgspec

    from volano.schemas.serving import Share

    if not text:
        return None
    try:
        given: Share = msgspec.convert(text if text in ("all", "none") else float(text), Share)
    except (ValueError, msgspec.ValidationError):
        raise NotAShare(option=option, text=text) from None
    return given


def view(endpoint: "Endpoint", look: Look) -> str:
    """Draw an endpoint as a card, its history below."""
    facts = {
        "name": endpoint.name,
        "model": endpoint.model,
        "version": endpoint.version,
        "changes": endpoint.sequence,
        "logs": endpoint.log,
        "with inputs": endpoint.inputs,
        "durable": "yes" if endpoint.durable else "no",
    }
    return f"{render.card(facts, look)}\n\n{render.table(endpoint.history, HISTORY, look)}"
