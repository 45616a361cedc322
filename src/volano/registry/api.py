"""The registry over HTTP: `/versions`, and reading `/runs`."""

from typing import Annotated

from msgspec import Meta

from volano.core.context import Context
from volano.core.http import ByteStream, Header, Response, Routes, ranges
from volano.core.http.page import After, Limit
from volano.registry import service
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Id, Name, Page, RangeUnsatisfiable

runs = Routes("/runs", tag="registry")
versions = Routes("/versions", tag="registry")

FileName = Annotated[str, Meta(min_length=1, max_length=1000)]


@runs.get(allow="read", errors=(CursorRefused,))
async def list_runs(
    ctx: Context,
    who: Who,
    *,
    state: schemas.RunState | None = None,
    model: Name | None = None,
    after: After = "",
    limit: Limit = 50,
) -> Page[schemas.Run]:
    """List runs, newest first."""
    return await service.runs(ctx, who, state=state, model=model, after=after, limit=limit)


@runs.get("/{id}", allow="read")
async def show_run(ctx: Context, who: Who, id: Id) -> schemas.Run:
    """Return one run: how far it is, what it measured, why it failed."""
    return await service.run(ctx, who, id)


@runs.get("/{id}/series", allow="read")
async def show_series(ctx: Context, who: Who, id: Id) -> list[schemas.Series]:
    """Return every point that the run's latest attempt logged."""
    return await service.run_series(ctx, who, id)


@runs.get("/{id}/log", allow="read", produces="text/plain; charset=utf-8")
async def show_log(ctx: Context, who: Who, id: Id) -> Response:
    """Show what the run printed; while it goes on, the latest of it (at most 20 lines a second)."""
    return Response(await service.run_log(ctx, who, id), media_type="text/plain")


@versions.get(allow="read", errors=(CursorRefused,))
async def list_versions(
    ctx: Context,
    who: Who,
    *,
    model: Name | None = None,
    after: After = "",
    limit: Limit = 50,
) -> Page[schemas.Version]:
    """List versions, newest first."""
    return await service.versions(ctx, who, model=model, after=after, limit=limit)


@versions.get("/compare", allow="read")
async def compare(
    ctx: Context, who: Who, *, id: Annotated[list[Id], Meta(min_length=2, max_length=10)]
) -> schemas.Comparison:
    """Compare two to ten versions."""
    return await service.compare(ctx, who, id)


@versions.get("/{id}", allow="read")
async def show_version(ctx: Context, who: Who, id: Id) -> schemas.Version:
    """Return one version with everything that made it."""
    return await service.version(ctx, who, id)


@versions.get(
    "/{id}/files/{name}",
    allow="read",
    rest=True,
    produces="application/octet-stream",
    errors=(RangeUnsatisfiable,),
)
async def download(
    ctx: Context,
    who: Who,
    id: Id,
    name: FileName,
    *,
    range: Annotated[str | None, Header("range")] = None,
) -> ByteStream:
    """Send one file of the version, also of a folder in it, or the bytes that `Range` asks for."""
    file = await service.file_of(ctx, who, id, name)
    start, length = ranges.wanted(range, file.bytes)
    chunks = service.stream(ctx, who, file, start, length)
    headers = {"content-disposition": "attachment"}
    return await ranges.stream(
        chunks,
        "application/octet-stream",
        start=start,
        length=length,
        size=file.bytes,
        headers=headers,
    )


routes = (runs, versions)
