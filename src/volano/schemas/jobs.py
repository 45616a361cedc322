"""What can go wrong with background work, as its users see it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from volano.schemas.common import Id, Input, Struct
from volano.schemas.errors import Conflict, Invalid, Missing

State = Literal["scheduled", "queued", "running", "done", "dead", "cancelled"]


class JobInfo(Struct, frozen=True, kw_only=True):
    """One piece of background work."""

    id: str
    topic: str
    queue: str
    state: State
    payload: dict[str, Any]
    attempt: int
    user_failures: int
    system_failures: int
    progress: dict[str, Any] | None
    failure: dict[str, Any] | None
    signature: str | None
    """Of its last failure: jobs that failed alike have the same one."""
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class DeadLetters(Struct, frozen=True, kw_only=True):
    """Jobs that failed alike: requeue them together once the cause is gone."""

    signature: str
    jobs: int
    topic: str
    failure: dict[str, Any]


class Requeue(Input, frozen=True, kw_only=True):
    """Which dead jobs to try again: these, those that failed alike, or without either all."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=1000)] | None = None
    signature: Annotated[str, Meta(min_length=1, max_length=32)] | None = None


class Requeued(Struct, frozen=True, kw_only=True):
    """How many dead jobs wait for a worker again, with all their attempts before them."""

    jobs: int


class NotDead(Conflict):
    """The job {id} did not fail for good: it is {state}."""

    remedy = "Only dead jobs can be requeued: `volano jobs ls --state dead` lists them."


class LeaseLost(Conflict):
    """The job {id} went to another worker; nothing of attempt {attempt} was kept."""

    remedy = "Nothing to do: the newer attempt has its effects."


class JobMissing(Missing):
    """There is no job {id!r} in this workspace."""

    remedy = "It may have ended long ago and been deleted: `volano jobs ls` lists those there are."


class NoHandler(Missing):
    """Nothing handles the topic {topic!r} here."""

    remedy = "Start a worker of a version that knows it, then requeue the job."


class BadCron(Invalid):
    """{text!r} is not a schedule: {reason}."""

    remedy = "Give five fields: minute hour day month weekday, e.g. '0 */6 * * *' (UTC)."
