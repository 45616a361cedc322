"""Where versions come from: the runs that made them, the snapshots that those were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volano.registry import service
from volano.schemas.accounts import Who
from volano.schemas.loop import Edges, Fact, Lineage, edges_to

if TYPE_CHECKING:
    from volano.core.context import Context


async def _version(ctx: Context, who: Who, id: str) -> Fact:
    version = await service.version(ctx, who, id)
    facts = {
        "source": version.source,
        "digest": version.digest,
        "params": version.params,
        "metrics": version.metrics,
    }
    title = f"{version.model} version {version.number}"
    return Fact(kind="version", id=id, title=title, facts=facts)


async def _run_of(ctx: Context, who: Who, id: str) -> Edges:
    version = await service.version(ctx, who, id)
    return edges_to("run", [version.run], "made by")


async def _run(ctx: Context, who: Who, id: str) -> Fact:
    run = await service.run(ctx, who, id)
    facts = {"state": run.state, "seed": run.seed, "params": run.params, "by": run.created_by}
    title = f"training of {run.model} by recipe {run.recipe}"
    return Fact(kind="run", id=id, title=title, facts=facts)


async def _snapshot_of(ctx: Context, who: Who, id: str) -> Edges:
    run = await service.run(ctx, who, id)
    return edges_to("snapshot", [run.snapshot], "trained on")


async def _version_of(ctx: Context, who: Who, id: str) -> Edges:
    run = await service.run(ctx, who, id)
    return edges_to("version", [run.version] if run.version else [], "registered")


async def _runs_on(ctx: Context, who: Who, id: str) -> Edges:
    runs = await service.runs_on(ctx, who, id)
    return edges_to("run", [run.id for run in runs], "trained")


LINEAGE = Lineage(
    kinds={"version": _version, "run": _run},
    up={"version": _run_of, "run": _snapshot_of},
    down={"run": _version_of, "snapshot": _runs_on},
)
