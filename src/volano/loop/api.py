"""The loop over HTTP: `/explain`, `/quarantine`, `/jobs`, `/usage`."""

from volano.core.context import Context
from volano.core.http import RequestLimits, Routes
from volano.core.http.page import After, Limit
from volano.loop import service, upkeep, usage
from volano.schemas.accounts import Who
from volano.schemas.common import AnyCaseUuid, CursorRefused, Id, Name, Page
from volano.schemas.errors import Missing
from volano.schemas.jobs import JobInfo, JobMissing, NotDead, Requeue, Requeued, State
from volano.schemas.loop import (
    Explanation,
    QuarantinedRow,
    QuarantineRetry,
    Retried,
    UnknownKind,
)
from volano.schemas.usage import Usage

explanations = Routes("/explain", tag="loop")
quarantine = Routes("/quarantine", tag="loop")
jobs = Routes("/jobs", tag="loop")
usage_of_disk = Routes("/usage", tag="loop")


@explanations.get("/{kind}/{id}", allow="read", errors=(UnknownKind,))
async def explain(ctx: Context, who: Who, kind: Name, id: Id) -> Explanation:
    """Tell what something was made from, and what was made from it."""
    return await service.explain(ctx, who, kind, id)


@quarantine.get(allow="read", errors=(CursorRefused,))
async def list_quarantine(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[QuarantinedRow]:
    """List what was acknowledged but cannot be read, with the reasons."""
    return await upkeep.quarantined(ctx, who, after=after, limit=limit)


@quarantine.post("/retry", allow="train", natural=True)
async def retry_quarantine(ctx: Context, who: Who, body: QuarantineRetry) -> Retried:
    """Let what is in quarantine be read again, once its cause is gone."""
    return await upkeep.retry_quarantined(ctx, who, body)


@quarantine.delete("/{id}", allow="settings", errors=(Missing,))
async def delete_quarantined(ctx: Context, who: Who, id: AnyCaseUuid) -> None:
    """Delete what is in quarantine, for good."""
    await upkeep.delete_quarantined(ctx, who, id)


@jobs.get(allow="settings", errors=(CursorRefused,))
async def list_jobs(
    ctx: Context,
    who: Who,
    *,
    state: State | None = None,
    topic: str | None = None,
    after: After = "",
    limit: Limit = 100,
) -> Page[JobInfo]:
    """List background work, newest first; what has ended is kept for some days."""
    return await upkeep.jobs(ctx, who, state=state, topic=topic, after=after, limit=limit)


@jobs.get("/{id}", allow="settings", errors=(JobMissing,))
async def show_job(ctx: Context, who: Who, id: Id) -> JobInfo:
    """Show one piece of background work: how far it is, or why it failed."""
    return await upkeep.job(ctx, who, id)


@jobs.post("/requeue", allow="settings", natural=True, errors=(JobMissing, NotDead))
async def requeue_jobs(ctx: Context, who: Who, body: Requeue) -> Requeued:
    """Try jobs again that failed for good, once the cause is gone."""
    return await upkeep.requeue(ctx, who, body)


@usage_of_disk.get(allow="read", limits=RequestLimits(deadline_ms=300_000))
async def show_usage(ctx: Context, who: Who) -> Usage:
    """Show what takes the disk; it looks at every blob and record of the workspace."""
    return await usage.usage(ctx, who)


routes = (explanations, quarantine, jobs, usage_of_disk)
