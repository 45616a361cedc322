"""Where everything came from and what it touched: one table of kinds over all stages.

prediction -> version -> run -> snapshot -> records -> contributors, and back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from volano.data import service as data
from volano.evaluation import answers
from volano.evaluation.intervals import paired_bootstrap
from volano.loop.lineage import Noun, walk
from volano.registry import service as registry
from volano.schemas import loop as schemas
from volano.schemas.accounts import Who
from volano.schemas.evaluation import Difference, NothingShared
from volano.schemas.loop import Edge, Fact
from volano.serving import service as serving

if TYPE_CHECKING:
    from volano.core.context import Context

SHOWN = 5
"""Records of a snapshot that an explanation lists; the others are counted."""

SEARCHED = 1000
"""Snapshots that are looked into for a record: some seconds at most; the others are counted."""

_LIMIT = 100

_ENDS = frozenset({"contributor"})
"""Kinds where every walk ends: nothing is known of them but their names."""


async def explain(
    ctx: Context, who: Who, kind: str, id: str, *, searched: int = SEARCHED
) -> schemas.Explanation:
    """Tell what something was made from and what was made from it.

    Of the snapshots that may hold a record, the latest `searched` are looked into.

    Raises: UnknownKind, Missing.
    """
    unsearched = Counter[str]()
    nouns = _nouns(_Lineage(ctx, who, searched, unsearched))
    askable = {name: noun for name, noun in nouns.items() if name not in _ENDS}
    noun = askable.get(cast("schemas.Kind", kind))
    if noun is None:
        raise schemas.UnknownKind(kind=kind, known=", ".join(askable))
    about = await noun.describe(id)
    up = await walk(nouns, about, "up", limit=_LIMIT)
    down = await walk(nouns, about, "down", limit=_LIMIT)
    return schemas.Explanation(
        about=about,
        up=up.facts,
        down=down.facts,
        links=up.links + down.links,
        omitted=dict(up.omitted + down.omitted),
        unsearched=dict(+unsearched),
    )


async def difference(ctx: Context, who: Who, first: str, second: str) -> Difference:
    """Measure how much more accurate the second version is, on the records of both tests.

    Raises: Missing (a version, or its answers), AnswersUnreadable, NothingShared.
    """
    written = [await registry.file(ctx, who, id, answers.FILE) for id in (first, second)]
    return await asyncio.to_thread(_difference, (first, second), written)


def _difference(ids: tuple[str, str], written: Sequence[bytes]) -> Difference:
    tables = [answers.read(id, data) for id, data in zip(ids, written, strict=True)]
    before, after = answers.paired(*tables)
    if not len(before):
        raise NothingShared(first=ids[0], second=ids[1])
    return paired_bootstrap(before, after, np.random.default_rng(0))


def _nouns(of: _Lineage) -> dict[schemas.Kind, Noun]:
    return {
        "prediction": Noun(of.prediction, of.prediction_up, _nowhere),
        "version": Noun(of.version, of.version_up, of.version_down),
        "run": Noun(of.run, of.run_up, of.run_down),
        "snapshot": Noun(of.snapshot, of.snapshot_up, of.snapshot_down),
        "record": Noun(of.record, of.record_up, of.record_down),
        "contributor": Noun(of.contributor, _nowhere, _nowhere),
    }


@dataclass(frozen=True, slots=True)
class _Lineage:
    """The edges between the stages' nouns; each stage tells its own facts through its service."""

    ctx: Context
    who: Who
    searched: int
    unsearched: Counter[str]

    async def prediction(self, id: str) -> Fact:
        made = await serving.prediction(self.ctx, self.who, id)
        facts = {"confidence": round(made.confidence, 4), "at": made.at.isoformat()}
        title = f"{made.label} on endpoint {made.endpoint}"
        return Fact(kind="prediction", id=id, title=title, facts=facts)

    async def prediction_up(self, id: str) -> list[Edge]:
        made = await serving.prediction(self.ctx, self.who, id)
        return [Edge(kind="version", id=made.version, relation="answered by")]

    async def version(self, id: str) -> Fact:
        version = await registry.version(self.ctx, self.who, id)
        rollouts = await serving.rollouts_of(self.ctx, self.who, id)
        facts: dict[str, Any] = {
            "source": version.source,
            "digest": version.digest,
            "params": version.params,
            "metrics": version.metrics,
            "answered_on": sorted({endpoint for endpoint, _ in rollouts}),
        }
        title = f"{version.model} version {version.number}"
        return Fact(kind="version", id=id, title=title, facts=facts)

    async def version_up(self, id: str) -> list[Edge]:
        version = await registry.version(self.ctx, self.who, id)
        return [Edge(kind="run", id=version.run, relation="made by")]

    async def version_down(self, id: str) -> list[Edge]:
        found = await serving.latest_of(self.ctx, self.who, id, limit=SHOWN)
        more = max(0, found.total - len(found.ids))
        return _edges("prediction", found.ids, "answered", more)

    async def run(self, id: str) -> Fact:
        run = await registry.run(self.ctx, self.who, id)
        facts = {"state": run.state, "seed": run.seed, "params": run.params, "by": run.created_by}
        title = f"training of {run.model} by recipe {run.recipe}"
        return Fact(kind="run", id=id, title=title, facts=facts)

    async def run_up(self, id: str) -> list[Edge]:
        run = await registry.run(self.ctx, self.who, id)
        return [Edge(kind="snapshot", id=run.snapshot, relation="trained on")]

    async def run_down(self, id: str) -> list[Edge]:
        run = await registry.run(self.ctx, self.who, id)
        if run.version is None:
            return []
        return [Edge(kind="version", id=run.version, relation="registered")]

    async def snapshot(self, id: str) -> Fact:
        snapshot = await data.frozen(self.ctx, self.who, id)
        facts = {
            "hash": snapshot.hash,
            "records": snapshot.records,
            "by_split": snapshot.by_split,
            "contributors": snapshot.contributors,
        }
        title = f"{snapshot.name}: {snapshot.records} records"
        # Its id, also where it was asked for by name: runs know it by that alone.
        return Fact(kind="snapshot", id=snapshot.id, title=title, facts=facts)

    async def snapshot_up(self, id: str) -> list[Edge]:
        snapshot = await data.frozen(self.ctx, self.who, id)
        page = await data.snapshot_records(self.ctx, self.who, id, after=None, limit=SHOWN)
        ids = [line.id for line in page.items]
        return _edges("record", ids, "contains", snapshot.records - len(ids))

    async def snapshot_down(self, id: str) -> list[Edge]:
        runs = await registry.runs_on(self.ctx, self.who, id)
        return [Edge(kind="run", id=run.id, relation="trained") for run in runs]

    async def record(self, id: str) -> Fact:
        record = await data.record(self.ctx, self.who, id)
        facts = {
            "content": record.content,
            "origin": record.origin,
            "quality": record.quality,
            "flags": record.flags,
            "received_at": record.received_at.isoformat(),
        }
        return Fact(kind="record", id=id, title=f"a drawing of {record.label}", facts=facts)

    async def record_up(self, id: str) -> list[Edge]:
        record = await data.record(self.ctx, self.who, id)
        if not record.contributor:
            return []
        return [Edge(kind="contributor", id=record.contributor, relation="drawn by")]

    async def record_down(self, id: str) -> list[Edge]:
        found = await data.snapshots_with(self.ctx, self.who, id, limit=self.searched)
        self.unsearched["snapshot"] += found.unsearched
        return [
            Edge(kind="snapshot", id=snapshot.id, relation=f"frozen into the {split} split of")
            for snapshot, split in found.snapshots
        ]

    async def contributor(self, id: str) -> Fact:
        return Fact(kind="contributor", id=id, title=id)


async def _nowhere(id: str) -> list[Edge]:
    return []


def _edges(kind: schemas.Kind, ids: Sequence[str], relation: str, more: int) -> list[Edge]:
    """Return an edge to each id; the last one says how many more there are."""
    counts = [0] * (len(ids) - 1) + [more]
    return [
        Edge(kind=kind, id=id, relation=relation, more=count)
        for id, count in zip(ids, counts[: len(ids)], strict=True)
    ]
