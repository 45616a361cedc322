"""`volano explain`: what a thing was made from, and what was made from it."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from volano.cli import render
from volano.cli.data_facts import HISTORY
from volano.cli.render import Look, Node
from volano.cli.terminal import Here, note
from volano.schemas.attributes import Attribute
from volano.schemas.errors import Invalid, Missing

if TYPE_CHECKING:
    from volano.schemas.loop import Explanation, Fact, Kind
    from volano.sdk.client import Client

_TOLD: Final = {
    "prediction": ("confidence", "at"),
    "version": ("metrics.accuracy", "answered_on"),
    "run": ("state", "seed"),
    "snapshot": ("by_split",),
    "record": ("origin", "quality", "flags"),
}


_ID: Final = re.compile(r"(run|ver|snap)_.+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NoSuchId(Invalid):
    """{id!r} is not the id of a prediction, version, run, snapshot or record."""

    remedy = (
        "A name needs its kind: `volano explain endpoint {id}`, `volano explain model {id}` or "
        "`volano explain snapshot {id}`."
    )


def explain(
    thing: Annotated[str, note("An id; or its kind, then the id.", metavar="[KIND] ID")],
    id: Annotated[str | None, note("", show=False)] = None,
    /,
    *,
    terminal: Here,
) -> None:
    """Explain anything: what it was made from, and what was made from it.

    Works for the ids of predictions, versions, runs, snapshots and records, whose kind can be left
    out; and for the name of a snapshot, a model (its newest version) or an endpoint (the version
    that answers) after the kind.

    Example:
        volano explain 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
        volano explain version ver_0198c5e07d317c4e9a503f1b6f7f2a10
        volano explain run run_0198c5e07d317c4e9a503f1b6f7f2a10 --json
        volano explain endpoint shapes
    """
    if id is None and not _ID.fullmatch(thing):
        raise NoSuchId(id=thing)
    kind, id = (None, thing) if id is None else _meant(terminal.client, thing, id)
    terminal.show(terminal.client.explain(id, kind), view)


def _meant(client: "Client", kind: str, name: str) -> "tuple[Kind, str]":
    """Return what a name stands for, as a kind and an id that the server explains.

    Raises: Missing.
    """
    if kind == "snapshot":
        return "snapshot", client.snapshots.show(name).id
    if kind == "model":
        newest = next(client.versions.ls(model=name), None)
        if newest is None:
            raise Missing(noun="version of the model", id=name)
        return "version", newest.id
    if kind == "endpoint":
        return "version", client.endpoints.show(name).version
    return kind, name


def view(explanation: "Explanation", look: Look) -> str:
    """Draw two trees: up to what it was made from, down to what was made from it."""
    facts = {fact.id: fact for fact in (explanation.about, *explanation.up, *explanation.down)}
    up: dict[str, list[tuple[str, str]]] = {}
    down: dict[str, list[tuple[str, str]]] = {}
    for link in explanation.links:
        up.setdefault(link.source, []).append((link.target, link.relation))
        down.setdefault(link.target, []).append((link.source, link.relation))
    walks = [("made from", up, explanation.up), ("made into", down, explanation.down)]
    branches = [
        Node(look.ink("dim", title), _below(explanation.about.id, links, facts, look, set()))
        for title, links, found in walks
        if found
    ]
    about = explanation.about
    text = render.tree(Node(_line(about, "", look), branches, _detail(about, look)), look)
    if stated := about.facts.get("history"):
        history = msgspec.convert(stated, list[Attribute])
        text += f"\n\n{render.table(history, HISTORY, look)}\n"
    more = [render.plural(n, f"more {kind}") for kind, n in explanation.omitted.items()]
    more += [f"{render.plural(n, kind)} not searched" for kind, n in explanation.unsearched.items()]
    return text + (f"\n{look.ink('dim', '… and ' + ', '.join(more))}" if more else "")


def _below(
    id: str,
    links: Mapping[str, list[tuple[str, str]]],
    facts: "Mapping[str, Fact]",
    look: Look,
    seen: set[str],
) -> list[Node]:
    """Return what hangs below a thing; do not unfold again what has been shown."""
    nodes = []
    for other, relation in links.get(id, []):
        if (fact := facts.get(other)) is None:
            continue
        known = other in seen
        seen.add(other)
        below = [] if known else _below(other, links, facts, look, seen)
        line = _line(fact, relation, look) + (" (above)" if known else "")
        nodes.append(Node(line, below, _detail(fact, look)))
    return nodes


def _line(fact: "Fact", relation: str, look: Look) -> str:
    title = f"{fact.kind} {fact.id}" if fact.title == fact.id else fact.title
    id = "" if fact.title == fact.id else fact.id
    parts = [
        render.visible(relation),
        look.ink("bold", render.visible(title)),
        look.ink("cyan", render.visible(id)),
    ]
    return "  ".join(part for part in parts if part)


def _detail(fact: "Fact", look: Look) -> str:
    told = [f"{_word(name)} {_said(value, look)}" for name, value in _told(fact)]
    return look.ink("dim", ", ".join(told))


def _word(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")


def _told(fact: "Fact") -> list[tuple[str, object]]:
    """Return the few facts that a line has room for; `--json` has all."""
    found = []
    for name in _TOLD.get(fact.kind, ()):
        value: object = fact.facts
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value not in (None, "", [], {}):
            found.append((name, value))
    return found


def _said(value: object, look: Look) -> str:
    """Return a fact as text; in a document times are texts."""
    if isinstance(value, str):
        with suppress(ValueError):
            return render.cell(datetime.fromisoformat(value), look)
    return render.cell(value, look)
