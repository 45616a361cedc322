"""The loop over HTTP: `/explain`, `/quarantine`, and what is measured across `/versions`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.core.http.page import After, Limit
from volano.loop import service, upkeep
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Id, Name, Page, Uuid
from volano.schemas.errors import Missing
from volano.schemas.evaluation import AnswersUnreadable, Difference, NothingShared
from volano.schemas.loop import (
    Explanation,
    QuarantinedRow,
    QuarantineRetry,
    Retried,
    UnknownKind,
)

explanations = Routes("/explain", tag="loop")
versions = Routes("/versions", tag="loop")
quarantine = Routes("/quarantine", tag="loop")


@explanations.get("/{kind}/{id}", allow="read", errors=(UnknownKind,))
async def explain(ctx: Context, who: Who, kind: Name, id: Id) -> Explanation:
    """Tell what something was made from, and what was made from it."""
    return await service.explain(ctx, who, kind, id)


@versions.get("/{id}/against/{other}", allow="read", errors=(AnswersUnreadable, NothingShared))
async def compare_answers(ctx: Context, who: Who, id: Id, other: Id) -> Difference:
    """Measure how much more accurate a version is than another, on the records of both tests."""
    return await service.difference(ctx, who, other, id)


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
async def delete_quarantined(ctx: Context, who: Who, id: Uuid) -> None:
    """Delete what is in quarantine, for good."""
    await upkeep.delete_quarantined(ctx, who, id)


routes = (explanations, versions, quarantine)
