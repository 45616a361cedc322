"""Attributes over HTTP: what is stated of a record, or of many."""

from volano.core.context import Context
from volano.core.http import RequestLimits, Routes
from volano.core.segments.compact import StillMoving
from volano.data.attributes import service
from volano.schemas import attributes as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Id
from volano.schemas.data import Quarantined

attributes = Routes("/records", tag="data")

_STATING = (
    schemas.AttributeRefused,
    schemas.TooManyFlags,
    Quarantined,
    StillMoving,
)
_MANY = RequestLimits(deadline_ms=300_000)  # some thousand records a second


@attributes.post(
    "/attributes",
    allow="train",
    natural=True,
    errors=(schemas.WhichRecords, *_STATING),
    limits=_MANY,
)
async def state_attribute_of_many(
    ctx: Context, who: Who, body: schemas.AttributeChange
) -> schemas.Changed:
    """State an attribute of many records: correct their label, flag them, tag them.

    Those that were acknowledged before are considered; ended halfway, the same request goes on.
    """
    return await service.state_all(ctx, who, body)


@attributes.post("/{id}/attributes", allow="train", status=201, natural=True, errors=_STATING)
async def state_attribute(
    ctx: Context, who: Who, id: Id, body: schemas.NewAttribute
) -> list[schemas.Attribute]:
    """State an attribute of a record, such as another label; get all that was stated of it."""
    return await service.state(ctx, who, id, body)


@attributes.get("/{id}/attributes", allow="read", errors=(Quarantined,))
async def list_attributes(ctx: Context, who: Who, id: Id) -> list[schemas.Attribute]:
    """List all that was stated of a record, in order; nothing of one as it came."""
    return await service.history(ctx, who, id)


routes = (attributes,)
