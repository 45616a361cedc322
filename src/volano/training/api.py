"""Training over HTTP: starting and cancelling `/runs`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Id
from volano.schemas.harness import BadParam
from volano.training import service

runs = Routes("/runs", tag="training")


@runs.post(allow="train", status=201, errors=(schemas.UnknownRecipe, BadParam))
async def start(ctx: Context, who: Who, body: schemas.NewRun) -> schemas.Run:
    """Request a training on a snapshot; it waits in the queue until a worker is free."""
    return await service.request(ctx, who, body)


@runs.post("/{id}/cancel", allow="train", errors=(schemas.RunOver,))
async def cancel(ctx: Context, who: Who, id: Id) -> schemas.Run:
    """Stop a run."""
    return await service.cancel(ctx, who, id)


routes = (runs,)
