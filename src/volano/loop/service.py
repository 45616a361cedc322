"""Where everything came from and what it touched: what the stages export, walked both ways.

prediction -> version -> run -> snapshot -> records -> contributors, and back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from volano.loop import lineage
from volano.schemas import loop as schemas
from volano.schemas.accounts import Who
from volano.schemas.loop import Lineage

if TYPE_CHECKING:
    from volano.core.context import Context

_LIMIT = 100


@dataclass(frozen=True, slots=True)
class State:
    """What every stage exports of where its things come from."""

    lineages: Sequence[Lineage]


async def explain(ctx: Context, who: Who, kind: str, id: str) -> schemas.Explanation:
    """Tell what something was made from and what was made from it.

    Raises: UnknownKind, Missing.
    """
    lineages, unsearched = ctx.part(State).lineages, Counter[str]()
    nouns = lineage.nouns(lineages, ctx, who, unsearched)
    ends = {end for one in lineages for end in one.ends}
    noun = nouns.get(kind)
    if noun is None or kind in ends:
        known = ", ".join(sorted(nouns.keys() - ends))
        raise schemas.UnknownKind(kind=kind, known=known)
    about = await noun.describe(id)
    up = await lineage.walk(nouns, about, "up", limit=_LIMIT)
    down = await lineage.walk(nouns, about, "down", limit=_LIMIT)
    return schemas.Explanation(
        about=about,
        up=up.facts,
        down=down.facts,
        links=up.links + down.links,
        omitted=dict(up.omitted + down.omitted),
        unsearched=dict(+unsearched),
    )
