"""The messages that the loop works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.loop import upkeep

handlers = Handlers()


@handlers.on(upkeep.SWEEP)
async def sweep(ctx: Context, job: Job) -> None:
    """Idempotent by the blobs: what was deleted is not there any more."""
    await upkeep.sweep(ctx, job.workspace)
