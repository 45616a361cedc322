"""The tables of the ledger."""

from typing import Final

import sqlalchemy as sa

from volano.core.db import Instant, JsonValue, metadata

SCHEDULED: Final = "scheduled"
QUEUED: Final = "queued"
RUNNING: Final = "running"
DONE: Final = "done"
DEAD: Final = "dead"
CANCELLED: Final = "cancelled"
ENDED: Final = (DONE, DEAD, CANCELLED)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("topic", sa.String(128), nullable=False),
    sa.Column("payload", JsonValue, nullable=False),
    sa.Column("key", sa.String(200)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("cost", sa.Double, nullable=False),
    sa.Column("run_at", Instant, nullable=False),
    sa.Column("max_attempts", sa.SmallInteger, nullable=False),
    # The fencing token: only the worker that holds the latest attempt may write.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("user_failures", sa.SmallInteger, nullable=False),
    sa.Column("system_failures", sa.SmallInteger, nullable=False),
    sa.Column("worker", sa.String(64)),
    sa.Column("lease_until", Instant),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("progress", JsonValue),
    sa.Column("failure", JsonValue),
    sa.Column("signature", sa.String(32)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.UniqueConstraint("workspace", "key"),
)


def in_state(state: str) -> sa.ColumnElement[bool]:
    """Write `state = '…'` out: PostgreSQL's generic plans would not use the partial indexes."""
    return jobs.c.state == sa.literal_column(f"'{state}'")


sa.Index(
    "ix_jobs_claim",
    jobs.c.workspace,
    jobs.c.queue,
    jobs.c.priority.desc(),
    jobs.c.id,
    sqlite_where=in_state(QUEUED),
    postgresql_where=in_state(QUEUED),
)
sa.Index(
    "ix_jobs_lease",
    jobs.c.lease_until,
    sqlite_where=in_state(RUNNING),
    postgresql_where=in_state(RUNNING),
)
sa.Index(
    "ix_jobs_due",
    jobs.c.run_at,
    sqlite_where=in_state(SCHEDULED),
    postgresql_where=in_state(SCHEDULED),
)
sa.Index(
    "ix_jobs_dead",
    jobs.c.workspace,
    jobs.c.signature,
    sqlite_where=in_state(DEAD),
    postgresql_where=in_state(DEAD),
)
sa.Index(
    "ix_jobs_finished",
    jobs.c.finished_at,
    sqlite_where=jobs.c.finished_at.is_not(None),
    postgresql_where=jobs.c.finished_at.is_not(None),
)

queues = sa.Table(
    "job_queues",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("queue", sa.String(64), primary_key=True),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("max_running", sa.Integer),
    # Counters of the jobs that are queued and running; `doctor` proves that they are right.
    sa.Column("pending", sa.Integer, nullable=False),
    sa.Column("running", sa.Integer, nullable=False),
    # Virtual time: work received / weight. The smallest is served next.
    sa.Column("vtime", sa.Double, nullable=False),
)


def is_waiting(row: sa.FromClause) -> sa.ColumnElement[bool]:
    """Write out, for the same reason, that the workspace has jobs to be claimed."""
    return row.c.pending > sa.literal_column("0")


sa.Index(
    "ix_job_queues_active",
    queues.c.queue,
    queues.c.vtime,
    sqlite_where=is_waiting(queues),
    postgresql_where=is_waiting(queues),
)

schedules = sa.Table(
    "job_schedules",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("cron", sa.String(100), nullable=False),
    sa.Column("topic", sa.String(128), nullable=False),
    sa.Column("payload", JsonValue, nullable=False),
    sa.Column("next_at", Instant, nullable=False, index=True),
)

duties = sa.Table(
    "job_duties",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("done_at", Instant, nullable=False),
)
