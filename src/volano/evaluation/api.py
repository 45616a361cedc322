"""Evaluation over HTTP: how good versions are, below `/versions`."""

from typing import Annotated

from msgspec import Meta

from volano.core.context import Context
from volano.core.http import Routes
from volano.core.http.page import After, Limit
from volano.evaluation import service
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Id, Page
from volano.schemas.evaluation import (
    Answered,
    AnswersUnreadable,
    Difference,
    NothingShared,
    Report,
)
from volano.schemas.registry import EvaluationUnreadable

versions = Routes("/versions", tag="evaluation")

ClassName = Annotated[str, Meta(min_length=1, max_length=200)]


@versions.get("/{id}/evaluation", allow="read", errors=(EvaluationUnreadable,))
async def show_evaluation(ctx: Context, who: Who, id: Id) -> Report:
    """Return how the version did on its test split."""
    return await service.report(ctx, who, id)


@versions.get("/{id}/errors", allow="read", errors=(AnswersUnreadable, CursorRefused))
async def list_errors(
    ctx: Context,
    who: Who,
    id: Id,
    *,
    drawn: ClassName | None = None,
    taken_for: ClassName | None = None,
    after: After = "",
    limit: Limit = 100,
) -> Page[Answered]:
    """List the test records on which the version was wrong, the most confident mistakes first.

    Of one label (`drawn`), of one class that it gave (`taken_for`), or both; where both are the
    same, the records on which it was right.
    """
    return await service.errors(
        ctx, who, id, drawn=drawn, taken_for=taken_for, after=after, limit=limit
    )


@versions.get("/{id}/against/{other}", allow="read", errors=(AnswersUnreadable, NothingShared))
async def compare_answers(ctx: Context, who: Who, id: Id, other: Id) -> Difference:
    """Measure how much more accurate a version is than another, on the records of both tests."""
    return await service.difference(ctx, who, other, id)


routes = (versions,)
