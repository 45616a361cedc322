"""Training over HTTP: starting and cancelling `/runs`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.spec import registry as spec
from volano.spec.accounts import Who
from volano.spec.common import Id
from volano.spec.model import BadParam
from volano.training import service

runs = Routes("/runs", tag="training")


@runs.post(allow="train", status=201, errors=(spec.UnknownRecipe, BadParam))
async def start(ctx: Context, who: Who, body: spec.NewRun) -> spec.Run:
    """Queue a training on a snapshot."""
    return await service.request(ctx, who, body)


@runs.post("/{id}/cancel", allow="train", errors=(spec.RunOver,))
async def cancel(ctx: Context, who: Who, id: Id) -> spec.Run:
    """Stop a run."""
    return await service.cancel(ctx, who, id)


routes = (runs,)
