"""Serving over HTTP: `/endpoints` and `/predictions`."""

from typing import Annotated

from msgspec import Meta

from volano.core.context import Context
from volano.core.http import Header, RequestLimits, Response, Routes, multipart
from volano.core.http.page import After, Limit
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import (
    CursorRefused,
    FormTooLarge,
    FormUnreadable,
    Id,
    InputNotRead,
    Name,
    Overloaded,
    Page,
)
from volano.schemas.data import Quarantined
from volano.schemas.images import (
    ImageCorrupt,
    ImageTooLarge,
    ImageTooNarrow,
    TooManyPixels,
    UnsupportedImage,
)
from volano.schemas.registry import ArtefactRefused
from volano.serving import logged, predicting, service

endpoints = Routes("/endpoints", tag="serving")
predictions = Routes("/predictions", tag="serving")

IMAGE_TYPES = (
    "application/octet-stream",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "image/x-portable-pixmap",
)
"""Content types of an image as the body; its own bytes say what it is."""

MOST_BYTES = 64 << 20
"""In one request: 32 images of a good camera."""

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


@endpoints.patch("/{name}", allow="deploy", natural=True)
async def change(
    ctx: Context, who: Who, name: Name, body: schemas.EndpointChange
) -> schemas.Endpoint:
    """Say what the endpoint keeps of its predictions; it holds within a second everywhere."""
    return await service.change(ctx, who, name, body)


def _image(body: bytes) -> schemas.PredictRequest:
    return schemas.PredictRequest(input=schemas.PredictInput(image=body))


def _form(body: bytes, content_type: str) -> schemas.PredictRequest:
    parts = multipart.read_whole(content_type, body, parts=schemas.MOST_INPUTS)
    files = [schemas.PredictInput(image=bytes(part.data)) for part in parts]
    if len(files) == 1:
        return schemas.PredictRequest(input=files[0])
    return schemas.PredictRequest(inputs=files or None)


@endpoints.post(
    "/{name}/predict",
    allow="predict",
    natural=True,
    before=predicting.admit,
    errors=(
        FormTooLarge,
        FormUnreadable,
        schemas.OneOrMany,
        schemas.InputUnusable,
        schemas.WrongInput,
        ImageCorrupt,
        ImageTooLarge,
        ImageTooNarrow,
        InputNotRead,
        TooManyPixels,
        UnsupportedImage,
        schemas.NothingActive,
        Overloaded,
    ),
    reads=dict.fromkeys(IMAGE_TYPES, _image) | {multipart.MEDIA_TYPE: _form},
    limits=RequestLimits(body=MOST_BYTES),
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

    An image may be the body itself, with its own content type, and up to 32 the parts of a form
    (multipart/form-data). One of many inputs that cannot be
    read has an answer of the kind `failed`; the others have theirs. What would come later than the
    deadline is refused before its body is read: 503.
    """
    return await predicting.predict(ctx, who, name, body, deadline_ms=deadline_ms)


@predictions.get("/{id}", allow="read", errors=(Quarantined,))
async def show_prediction(ctx: Context, who: Who, id: Id) -> schemas.LoggedPrediction:
    """Show a prediction as it was logged, with what turned out to be true."""
    return await logged.prediction(ctx, who, id)


@predictions.get(
    "/{id}/input",
    allow="export",
    produces="application/octet-stream",
    errors=(Quarantined, schemas.InputNotKept),
)
async def download_input(ctx: Context, who: Who, id: Id) -> Response:
    """Return what a prediction was made from: an image as a file, a drawing as its payload."""
    media_type, content = await logged.input_of(ctx, who, id)
    return Response(content, 200, media_type=media_type)


@predictions.get("/{id}/feedback", allow="read", errors=(Quarantined,))
async def list_feedback(ctx: Context, who: Who, id: Id) -> list[schemas.Feedback]:
    """List what turned out to be true of a prediction, oldest first."""
    return await logged.feedback(ctx, who, id)


@predictions.post(
    "/{id}/feedback",
    allow="predict",
    status=201,
    errors=(Quarantined, schemas.TruthUnfit),
)
async def add_feedback(
    ctx: Context, who: Who, id: Id, body: schemas.NewFeedback
) -> schemas.Feedback:
    """Say what turned out to be true of a prediction; nothing that was said before is replaced."""
    return await logged.add_feedback(ctx, who, id, body)


routes = (endpoints, predictions)
