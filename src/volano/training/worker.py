"""The messages that training works on."""

from volano.core import telemetry
from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.training import service

handlers = Handlers()


@handlers.on(service.REQUESTED)
async def carry_out(ctx: Context, job: Job) -> None:
    """Carry out a run. Idempotent by the run's state and attempt."""
    # For the rest of this job's task: every line from here on tells which run it is about.
    telemetry.run_id.set(job.payload["run"])
    await service.carry_out(ctx, job)
