"""The messages that the loop works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.loop import upkeep

handlers = Handlers()


@handlers.on(upkeep.SWEEP)
async def sweep(ctx: Context, job: Job) -> None:
    """Delete what nothing refers to. Idempotent by the blobs: what was deleted is gone."""
    await upkeep.sweep(ctx, job.workspace)
