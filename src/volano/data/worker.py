"""The messages that data works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.data.deletion import service

handlers = Handlers()


@handlers.on(service.ERASE)
async def erase_records(ctx: Context, job: Job) -> None:
    """Erase deleted records. Idempotent by their notes: what has been erased is noted."""
    await service.erase(ctx, job)
