"""The loop over HTTP: `/explain`, and what is measured across `/versions`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.loop import service
from volano.schemas.accounts import Who
from volano.schemas.common import Id, Name
from volano.schemas.evaluation import AnswersUnreadable, Difference, NothingShared
from volano.schemas.loop import Explanation, UnknownKind

explanations = Routes("/explain", tag="loop")
versions = Routes("/versions", tag="loop")


@explanations.get("/{kind}/{id}", allow="read", errors=(UnknownKind,))
async def explain(ctx: Context, who: Who, kind: Name, id: Id) -> Explanation:
    """Tell what something was made from, and what was made from it."""
    return await service.explain(ctx, who, kind, id)


@versions.get("/{id}/against/{other}", allow="read", errors=(AnswersUnreadable, NothingShared))
async def compare_answers(ctx: Context, who: Who, id: Id, other: Id) -> Difference:
    """Measure how much more accurate a version is than another, on the records of both tests."""
    return await service.difference(ctx, who, other, id)


routes = (explanations, versions)
