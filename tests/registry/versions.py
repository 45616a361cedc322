"""Runs and versions as training makes them, without training."""

from typing import Any

import msgspec

from volano.core.context import Context
from volano.registry import service
from volano.registry.series import Made
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import new_id, utc_now

MODEL = "shapes"


def version_file(*classes: str, **facts: Any) -> schemas.VersionFile:
    """What is told of a recogniser of these classes."""
    answers = schemas.ClassesSpec(classes=list(classes or ("circle", "square")))
    signature = schemas.Signature(input=schemas.DrawingSpec(), output=answers)
    return schemas.VersionFile(signature=signature, **facts)


async def begun(ctx: Context, who: Who, **facts: Any) -> schemas.Run:
    """A run at its first attempt."""
    given = schemas.Run(
        id=new_id("run"),
        kind="training",
        state="queued",
        model=MODEL,
        recipe="drawing",
        snapshot="snap_1",
        params={"width": 8},
        seed=1,
        seconds=60.0,
        created_at=utc_now(),
        created_by=who.member,
    )
    run = msgspec.structs.replace(given, **facts)
    async with ctx.db.begin(who.workspace) as tx:
        await service.add_run(tx, run, new_id("job"))
    there = await service.begin_attempt(ctx, who.workspace, run.id, 1)
    assert there is not None
    return there


async def registered(
    ctx: Context,
    who: Who,
    files: dict[str, bytes] | None = None,
    told: schemas.VersionFile | None = None,
    *,
    metrics: dict[str, float] | None = None,
    **facts: Any,
) -> schemas.Version:
    """A version of these files, made by a run that is over."""
    run = await begun(ctx, who, **facts)
    told = told or version_file()
    given = {"version.json": msgspec.json.encode(told)} | (files or {"model.onnx": b"graph"})
    kept = [
        schemas.File(name=name, blob=await ctx.blobs.put(who.workspace, data), bytes=len(data))
        for name, data in given.items()
    ]
    made = Made(source="src_1", metrics=metrics or {"accuracy": 0.5}, environment={"python": "3"})
    async with ctx.db.begin(who.workspace) as tx:
        id = await service.register(tx, run, told, kept, made)
        await service.end_run(tx, run.id, metrics=made.metrics, version=id)
    return await service.version(ctx, who, id)
