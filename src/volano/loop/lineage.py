"""The walk through lineage: pure, and blind to what the nouns mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Name = tuple[str, str]
"""Kind and id."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing: what it is, in words and facts."""

    name: Name
    title: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edge:
    """How the node that was asked leads to another one; `more` stand behind it unlisted."""

    to: Name
    relation: str
    more: int = 0


Describe = Callable[[str], Awaitable[Node]]
Step = Callable[[str], Awaitable[Sequence[Edge]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a stage tells about one kind of noun: what it is, what made it, what it made."""

    describe: Describe
    up: Step
    down: Step


@dataclass(slots=True)
class Walk:
    """What a walk found, in the order it was found; links are (from, to, relation)."""

    nodes: list[Node] = field(default_factory=list)
    links: list[tuple[Name, Name, str]] = field(default_factory=list)
    omitted: Counter[str] = field(default_factory=Counter)


async def walk(kinds: Mapping[str, Kind], start: Name, way: str, *, limit: int) -> Walk:
    """Everything that `start` leads to on one way (`up` or `down`), at most `limit` nodes.

    Breadth first, each node once; what is beyond the limit is counted by kind.
    """
    found, seen, waiting = Walk(), {start}, [start]
    while waiting:
        here = waiting.pop(0)
        edges = await getattr(kinds[here[0]], way)(here[1])
        for edge in edges:
            found.omitted[edge.to[0]] += edge.more
            found.links.append((here, edge.to, edge.relation))
            if edge.to in seen:
                continue
            seen.add(edge.to)
            if len(found.nodes) >= limit:
                found.omitted[edge.to[0]] += 1
                continue
            found.nodes.append(await kinds[edge.to[0]].describe(edge.to[1]))
            waiting.append(edge.to)
    found.omitted = Counter({kind: count for kind, count in found.omitted.items() if count})
    return found
