"""The messages that labeling works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.data.service import COMPACT
from volano.labeling import service

handlers = Handlers()


@handlers.on(COMPACT)
async def compact_records(ctx: Context, job: Job) -> None:
    """Compact records. Idempotent by the inbox: rows that have moved are no longer there."""
    await service.compact(ctx, job)
