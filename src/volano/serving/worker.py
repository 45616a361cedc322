"""The messages that serving works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.serving import service

handlers = Handlers()


@handlers.on(service.COMPACT)
async def compact_log(ctx: Context, job: Job) -> None:
    """Idempotent by the inbox: rows that have moved are no longer there."""
    await service.compact_log(ctx, job)
