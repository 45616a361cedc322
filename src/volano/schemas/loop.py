"""What the whole wheel can tell: where something came from and what it touched."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from volano.schemas.blobs import Orphans
from volano.schemas.common import Id, Input, Json, Struct, Uuid
from volano.schemas.errors import Invalid
from volano.schemas.jobs import DeadLetters

Kind = Literal["prediction", "version", "run", "snapshot", "record", "contributor"]


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

    ids: Annotated[list[Uuid], Meta(min_length=1, max_length=1000)] | None = None


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
