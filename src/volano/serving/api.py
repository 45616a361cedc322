"""Serving over HTTP: `/endpoints` and `/predictions`."""

from typing import Annotated

from msgspec import Meta

from volano.core.context import Context
from volano.core.http import Header, Routes
from volano.core.http.page import After, Limit
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Id, Name, Overloaded, Page
from volano.schemas.registry import ArtefactRefused
from volano.serving import service

endpoints = Routes("/endpoints", tag="serving")
predictions = Routes("/predictions", tag="serving")

Deadline = Annotated[Annotated[int, Meta(ge=1)] | None, Header("x-deadline-ms")]


@endpoints.get(allow="read", errors=(CursorRefused,))
async def list_endpoints(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Endpoint]:
    """List endpoints by name."""
    return await service.endpoints(ctx, who, after=after, limit=limit)


@endpoints.get("/{name}", allow="read")
async def show_endpoint(ctx: Context, who: Who, name: Name) -> schemas.Endpoint:
    """Show what answers on an endpoint and what did before."""
    return await service.endpoint(ctx, who, name)


@endpoints.post(
    "/{name}/activate",
    allow="deploy",
    natural=True,
    errors=(schemas.GoldenMismatch, ArtefactRefused),
)
async def activate(
    ctx: Context, who: Who, name: Name, body: schemas.Activation
) -> schemas.Endpoint:
    """Let a version answer on the endpoint; checked first, swapped without a failed request."""
    return await service.activate(ctx, who, name, body.version)


@endpoints.post(
    "/{name}/rollback",
    allow="deploy",
    natural=True,
    errors=(
        schemas.NoEarlierVersion,
        schemas.NotAnswering,
        schemas.GoldenMismatch,
        ArtefactRefused,
    ),
)
async def roll_back(ctx: Context, who: Who, name: Name, body: schemas.Rollback) -> schemas.Endpoint:
    """Let the version answer that did before the one in `from`; the next goes one further back."""
    return await service.roll_back(ctx, who, name, body.leaves)


@endpoints.post(
    "/{name}/predict",
    allow="predict",
    natural=True,
    before=service.admit,
    errors=(schemas.OneOrMany, schemas.NothingActive, Overloaded),
)
async def predict(
    ctx: Context,
    who: Who,
    name: Name,
    body: schemas.PredictRequest,
    *,
    deadline_ms: Deadline = None,
) -> schemas.PredictResponse:
    """Ask the endpoint about one input or up to 32.

    What would come later than the deadline is refused before its body is read: 503.
    """
    if (body.input is None) == (body.inputs is None):
        raise schemas.OneOrMany
    inputs = [body.input] if body.input is not None else body.inputs or []
    return await service.predict(ctx, who, name, inputs, deadline_ms=deadline_ms)


@predictions.get("/{id}", allow="read")
async def show_prediction(ctx: Context, who: Who, id: Id) -> schemas.LoggedPrediction:
    """Show a prediction as it was logged."""
    return await service.prediction(ctx, who, id)


routes = (endpoints, predictions)
