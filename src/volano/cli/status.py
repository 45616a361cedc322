"""`volano status`: what the server is, and what it is doing."""

from itertools import islice
from typing import TYPE_CHECKING, Any

import volano
from volano.cli import endpoints, render, runs
from volano.cli.accounts import workspace
from volano.cli.render import Look
from volano.cli.terminal import Here

if TYPE_CHECKING:
    from volano.sdk.client import Client


def status(*, terminal: Here) -> None:
    """Show the server, who you are to it, what answers on it and what runs on it.

    Example:
        volano status
    """
    terminal.show(_gather(terminal.client), _view)


def _gather(client: "Client") -> dict[str, Any]:
    drawings = [shape.drawings for shape in client.shapes.ls()]
    return {
        "url": client.url,
        "client": volano.__version__,
        "who": client.whoami(),
        "shapes": len(drawings),
        "drawings": sum(drawings),
        "endpoints": list(client.endpoints.ls()),
        "running": list(client.runs.ls(state="running")),
        "queued": list(client.runs.ls(state="queued")),
        "latest": next(islice(client.runs.ls(), 1), None),
    }


def _view(found: dict[str, Any], look: Look) -> str:
    who = found["who"]
    facts = {
        "server": found["url"],
        "you": f"{who.role} of {workspace(who)}",
        "drawings": f"{found['drawings']:,} of {render.plural(found['shapes'], 'shape')}",
        "runs": f"{len(found['running'])} running, {len(found['queued'])} waiting",
    }
    parts = [render.card(facts, look)]
    if found["endpoints"]:
        parts.append(render.table(found["endpoints"], endpoints.COLUMNS, look))
    if found["running"]:
        parts.append(render.table(found["running"], runs.COLUMNS, look))
    return "\n\n".join(parts)
