"""The walk through lineage: pure, and blind to what the nouns mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from volano.schemas.loop import Edge, Fact, Kind, Link

Way = Literal["up", "down"]
"""To what something was made from, or to what was made from it."""

Describe = Callable[[str], Awaitable[Fact]]
Step = Callable[[str], Awaitable[Sequence[Edge]]]


@dataclass(frozen=True, slots=True)
class Noun:
    """How to ask about things of one kind, by id: what one is, and where it leads on each way."""

    describe: Describe
    up: Step
    down: Step


@dataclass(slots=True)
class Walk:
    """What a walk found, in the order in which it was found."""

    facts: list[Fact] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    omitted: Counter[str] = field(default_factory=Counter)
    """By kind, how many more there are."""


async def walk(nouns: Mapping[Kind, Noun], start: Fact, way: Way, *, limit: int) -> Walk:
    """Find what `start` leads to on one way, at most `limit` things, each once, the nearest first.

    Return it with the links between the things, each from what was made to what it was made from.
    """
    found, waiting = Walk(), [(start.kind, start.id)]
    seen = set(waiting)
    while waiting:
        kind, id = waiting.pop(0)
        step = nouns[kind].up if way == "up" else nouns[kind].down
        for edge in await step(id):
            made, origin = (id, edge.id) if way == "up" else (edge.id, id)
            found.links.append(Link(source=made, target=origin, relation=edge.relation))
            found.omitted[edge.kind] += edge.more
            to = (edge.kind, edge.id)
            if to in seen:
                continue
            seen.add(to)
            if len(found.facts) == limit:
                found.omitted[edge.kind] += 1
                continue
            found.facts.append(await nouns[edge.kind].describe(edge.id))
            waiting.append(to)
    found.omitted = +found.omitted  # without the zeros
    return found
