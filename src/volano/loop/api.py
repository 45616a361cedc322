"""The loop over HTTP: `/explain`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.loop import service
from volano.spec.accounts import Who
from volano.spec.common import Id, Name
from volano.spec.loop import Explanation, UnknownKind

explanations = Routes("/explain", tag="loop")


@explanations.get("/{kind}/{id}", allow="read", errors=(UnknownKind,))
async def explain(ctx: Context, who: Who, kind: Name, id: Id) -> Explanation:
    """What something was made from, and what was made from it."""
    return await service.explain(ctx, who, kind, id)


routes = (explanations,)
