"""The messages that training works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.training import service

handlers = Handlers()


@handlers.on(service.REQUESTED)
async def carry_out(ctx: Context, job: Job) -> None:
    """Idempotent by the run's state and attempt."""
    await service.carry_out(ctx, job)
