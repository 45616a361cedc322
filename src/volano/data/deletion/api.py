"""Deletion over HTTP: one record, or many with their confirmed count."""

from volano.core.context import Context
from volano.core.http import RequestLimits, Routes
from volano.core.segments.compact import StillMoving
from volano.data.deletion import service
from volano.schemas import deletion as schemas
from volano.schemas.accounts import Who
from volano.schemas.attributes import WhichRecords
from volano.schemas.common import Id
from volano.schemas.data import Quarantined

deletion = Routes("/records", tag="data")


@deletion.delete("/{id}", allow="train", errors=(Quarantined, StillMoving))
async def delete_record(ctx: Context, who: Who, id: Id) -> None:
    """Delete a record, for good. Snapshots keep its line, without its content, and their hashes."""
    await service.delete(ctx, who, id)


@deletion.post(
    "/delete",
    allow="train",
    natural=True,
    errors=(WhichRecords, schemas.CountDiffers, Quarantined, StillMoving),
    limits=RequestLimits(deadline_ms=300_000),  # some thousand records a second
)
async def delete_records(ctx: Context, who: Who, body: schemas.Deletion) -> schemas.Deleted:
    """Delete records, for good, if they are as many as `confirm` says; else say how many."""
    return await service.delete_all(ctx, who, body)


routes = (deletion,)
