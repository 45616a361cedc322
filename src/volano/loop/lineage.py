"""The walk through lineage: pure, and blind to what the nouns mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from volano.schemas.accounts import Who
from volano.schemas.loop import Edge, Fact, Kind, Lineage, Link
from volano.schemas.loop import Step as StageStep

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


def nouns(
    lineages: Sequence[Lineage], ctx: Any, who: Who, unsearched: Counter[str]
) -> dict[Kind, Noun]:
    """Return every kind of every stage, with the edges that any stage knows from it.

    What the edges did not look into is added to `unsearched`.
    """

    def describe(kind: Kind, of: Lineage) -> Describe:
        async def described(id: str) -> Fact:
            fact = await of.kinds[kind](ctx, who, id)
            more = [
                await one.facts[kind](ctx, who, fact.id) for one in lineages if kind in one.facts
            ]
            for facts in more:
                fact = msgspec.structs.replace(fact, facts=fact.facts | facts)
            return fact

        return described

    def step(steps: Sequence[StageStep]) -> Step:
        async def taken(id: str) -> list[Edge]:
            found = [await one(ctx, who, id) for one in steps]
            for edges in found:
                unsearched.update(edges.unsearched)
            return [edge for edges in found for edge in edges.edges]

        return taken

    return {
        kind: Noun(
            describe(kind, of),
            step([one.up[kind] for one in lineages if kind in one.up]),
            step([one.down[kind] for one in lineages if kind in one.down]),
        )
        for of in lineages
        for kind in of.kinds
    }


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
