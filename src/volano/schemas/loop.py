"""What the whole wheel can tell: where something came from and what it touched."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from volano.schemas.accounts import Who
from volano.schemas.blobs import Orphans
from volano.schemas.common import AnyCaseUuid, Id, Input, Json, Name, Struct
from volano.schemas.errors import Invalid
from volano.schemas.jobs import DeadLetters

Kind = Name
"""What a thing is: each stage names its own, see `Lineage`."""


class Fact(Struct, frozen=True, kw_only=True):
    """One thing in an explanation: what it is, in words and facts."""

    kind: Kind
    id: Id
    title: str
    facts: Json = {}


class Edge(Struct, frozen=True, kw_only=True):
    """How the thing that was asked leads to another one."""

    kind: Kind
    id: Id
    relation: str
    more: int = 0
    """How many more things of this kind stand behind it unlisted."""


class Edges(Struct, frozen=True, kw_only=True):
    """Where a thing leads on one way."""

    edges: list[Edge] = []
    unsearched: dict[str, int] = {}
    """Per kind, how many were not looked into, being too many."""


SHOWN = 5
"""Things of one kind that an explanation lists for another one; the others are counted."""

Describe = Callable[[Any, Who, Id], Awaitable[Fact]]
"""Tells what one thing is; given the Context, who asks and the id. Raises: Missing."""

Step = Callable[[Any, Who, Id], Awaitable[Edges]]
"""Tells where one thing leads, given the same."""

Facts = Callable[[Any, Who, Id], Awaitable[Json]]
"""Tells what a stage knows of a thing that another stage describes, given the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a stage exports for explanations: its kinds, and edges from these and others' kinds."""

    kinds: Mapping[Kind, Describe] = field(default_factory=dict)
    facts: Mapping[Kind, Facts] = field(default_factory=dict)
    up: Mapping[Kind, Step] = field(default_factory=dict)
    """To what a thing was made from."""
    down: Mapping[Kind, Step] = field(default_factory=dict)
    """To what was made from it."""
    ends: frozenset[Kind] = frozenset()
    """Kinds where every walk ends: nothing is known of them but their names."""


def edges_to(kind: Kind, ids: list[Id], relation: str, more: int = 0) -> Edges:
    """Return an edge to each id; the last one says how many more there are."""
    counts = [0] * (len(ids) - 1) + [more]
    found = [
        Edge(kind=kind, id=id, relation=relation, more=count)
        for id, count in zip(ids, counts[: len(ids)], strict=True)
    ]
    return Edges(edges=found)


class Link(Struct, frozen=True, kw_only=True):
    """`source` was made from `target`; `relation` says how."""

    source: Id
    target: Id
    relation: str


class Explanation(Struct, frozen=True, kw_only=True):
    """Everything that `about` was made from (up) and everything made from it (down)."""

    about: Fact
    up: list[Fact]
    down: list[Fact]
    links: list[Link]
    omitted: dict[str, int] = {}
    """Per kind, how many more there are than are listed."""
    unsearched: dict[str, int] = {}
    """Per kind, how many were not looked into, being too many: they may belong here as well."""


class QuarantinedRow(Struct, frozen=True, kw_only=True):
    """What was acknowledged and is kept, but cannot be read: a record, or a logged prediction."""

    id: Id
    stream: str
    """`records` or `predictions`."""
    subject: str
    """Whose it is: a record's contributor, a prediction's version."""
    reason: str
    bytes: int
    received_at: datetime


class QuarantineRetry(Input, frozen=True, kw_only=True):
    """Which rows of the quarantine to try again; without ids all of them."""

    ids: Annotated[list[AnyCaseUuid], Meta(min_length=1, max_length=1000)] | None = None


class Retried(Struct, frozen=True, kw_only=True):
    """How many rows left the quarantine; what still cannot be read comes back within seconds."""

    rows: int


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What is wrong with a server's stored side, if anything."""

    healthy: bool
    """Nothing is damaged, unreadable or has failed for good.

    Orphans and wrong counters mend themselves.
    """
    database: list[str]
    """What the database says of its own files; empty if they are sound."""
    unreadable: list[str]
    """Rows whose blob is missing or is not what was stored, each with the reason."""
    unknown: list[str]
    """Rows that name a blob which the database does not know, so that a sweep may delete it."""
    dead: dict[str, list[DeadLetters]]
    """Per workspace, jobs that had failed for good when this began."""
    requeued: int = 0
    """How many of them are to be tried again."""
    quarantined: dict[str, int]
    """Rows that cannot be read, by workspace/stream."""
    miscounted: list[str]
    """Queues and tables of counters, as workspace/name, that are not what counting gives."""
    orphans: Orphans
    """Blobs that nothing refers to and that are old enough to go."""
    fixed: bool
    """Whether counters were set right and orphans deleted."""


class UnknownKind(Invalid):
    """Nothing here is a {kind!r}."""

    remedy = "Ask for one of: {known}."
