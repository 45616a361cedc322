"""The messages that serving works on."""

from volano.core.context import Context
from volano.core.jobs import Handlers, Job
from volano.serving import logged

handlers = Handlers()


@handlers.on(logged.COMPACT)
async def compact_log(ctx: Context, job: Job) -> None:
    """Move logged predictions into a segment. Idempotent: rows that have moved are gone."""
    await logged.compact_log(ctx, job)
