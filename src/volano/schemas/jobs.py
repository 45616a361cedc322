"""What can go wrong with background work, as its users see it."""

from datetime import datetime
from typing import Any, Literal

from volano.schemas.common import Struct
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


class LeaseLost(Conflict):
    """The job {id} went to another worker; nothing of attempt {attempt} was kept."""

    remedy = "Nothing to do: the newer attempt has its effects."


class JobMissing(Missing):
    """There is no job {id!r} in this workspace."""


class NoHandler(Missing):
    """Nothing handles the topic {topic!r} here."""

    remedy = "Start a worker of a version that knows it, then requeue the job."


class BadCron(Invalid):
    """{text!r} is not a schedule: {reason}."""

    remedy = "Give five fields: minute hour day month weekday, e.g. '0 */6 * * *' (UTC)."
