"""What versions answered, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volano.schemas.accounts import Who
from volano.schemas.common import Json
from volano.schemas.loop import SHOWN, Edges, Fact, Lineage, edges_to
from volano.serving import logged, service

if TYPE_CHECKING:
    from volano.core.context import Context


async def _prediction(ctx: Context, who: Who, id: str) -> Fact:
    made = await logged.prediction(ctx, who, id)
    facts: Json = {"at": made.at.isoformat(), "content": made.content}
    if made.confidence is not None:
        facts["confidence"] = round(made.confidence, 4)
    if made.feedback:
        facts["truth"] = made.feedback[-1].truth
    said = made.value if made.label is None else made.label
    return Fact(kind="prediction", id=id, title=f"{said} on endpoint {made.endpoint}", facts=facts)


async def _version_of(ctx: Context, who: Who, id: str) -> Edges:
    made = await logged.prediction(ctx, who, id)
    return edges_to("version", [made.version], "answered by")


async def _predictions_of(ctx: Context, who: Who, id: str) -> Edges:
    found = await logged.latest_of(ctx, who, id, limit=SHOWN)
    more = max(0, found.total - len(found.ids))
    return edges_to("prediction", found.ids, "answered", more)


async def _where_it_answered(ctx: Context, who: Who, id: str) -> Json:
    rollouts = await service.rollouts_of(ctx, who, id)
    return {"answered_on": sorted({endpoint for endpoint, _ in rollouts})}


LINEAGE = Lineage(
    kinds={"prediction": _prediction},
    facts={"version": _where_it_answered},
    up={"prediction": _version_of},
    down={"version": _predictions_of},
)
