"""Labeling over HTTP: `/shapes`, `/drawings`, `/user/stats`."""

from volano.core.context import Context
from volano.core.http import Routes
from volano.core.http.page import After, Limit
from volano.labeling import service
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import CursorRefused, Page
from volano.schemas.datasets import Outcome
from volano.schemas.drawings import DrawingBatch, DrawingImport, NewDrawing
from volano.schemas.labeling import DrawingIdReused, NewShape, Shape, UnknownShape, UserStats

shapes = Routes("/shapes", tag="labeling")
drawings = Routes("/drawings", tag="labeling")
user = Routes("/user", tag="labeling")


@shapes.get(allow="draw", errors=(CursorRefused,))
async def list_shapes(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 200
) -> Page[Shape]:
    """List what can be drawn."""
    return await service.shapes(ctx, who, after=after, limit=limit)


@shapes.post(allow="settings", status=201, errors=(NameTaken,))
async def add_shape(ctx: Context, who: Who, body: NewShape) -> Shape:
    """Ask for a new shape."""
    return await service.add_shape(ctx, who, body)


@drawings.post(
    allow="draw",
    status=201,
    natural=True,
    reads={service.BINARY_MEDIA_TYPE: service.unpack},
    errors=(UnknownShape, DrawingIdReused),
)
async def submit(
    ctx: Context, who: Who, body: NewDrawing | DrawingBatch
) -> Outcome | list[Outcome]:
    """Submit one drawing, or a list of up to 50; stored durably once answered.

    Sending the same id again stores nothing twice. Of a list, each drawing is stored or refused by
    itself; a single one that is refused is an error.
    """
    if isinstance(body, list):
        return await service.submit_many(ctx, who, body)
    return await service.submit(ctx, who, body)


@drawings.post("/import", allow="train", status=201, natural=True)
async def import_drawings(ctx: Context, who: Who, body: DrawingImport) -> list[Outcome]:
    """Bring in up to 200 drawings that were made elsewhere."""
    return await service.import_drawings(ctx, who, body)


@user.get("/stats", allow="draw")
async def stats(ctx: Context, who: Who) -> UserStats:
    """Show what the caller has given so far."""
    return await service.stats(ctx, who)


routes = (shapes, drawings, user)
