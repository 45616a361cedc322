"""Where everything came from and what it touched: one table of kinds over all stages.

prediction -> version -> run -> snapshot -> records -> contributors, and back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from volano.data import service as data
from volano.evaluation import answers
from volano.evaluation.intervals import paired_bootstrap
from volano.loop.lineage import Edge, Kind, Name, Node, Walk, walk
from volano.registry import service as registry
from volano.schemas import loop as schemas
from volano.schemas.accounts import Who
from volano.schemas.evaluation import Difference, NothingShared
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
    """What `id` was made from and what was made from it.

    Of the snapshots that may hold a record, the latest `searched` are looked into.

    Raises: UnknownKind, Missing.
    """
    teller = _Teller(ctx, who, searched)
    kinds = _kinds(teller)
    askable = [name for name in kinds if name not in _ENDS]
    if kind not in askable:
        raise schemas.UnknownKind(kind=kind, known=", ".join(askable))
    about = await kinds[kind].describe(id)
    up = await walk(kinds, about.name, "up", limit=_LIMIT)
    down = await walk(kinds, about.name, "down", limit=_LIMIT)
    return schemas.Explanation(
        about=_fact(about),
        up=[_fact(node) for node in up.nodes],
        down=[_fact(node) for node in down.nodes],
        links=_links(up, down),
        omitted=dict(up.omitted + down.omitted),
        unsearched=dict(+teller.unsearched),
    )


async def difference(ctx: Context, who: Who, first: str, second: str) -> Difference:
    """How much more accurate the second version is than the first, on the records of both tests.

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


def _kinds(teller: _Teller) -> Mapping[str, Kind]:
    """What each stage tells about its nouns, bound to the caller's workspace."""
    names = get_args(schemas.Kind)
    return {
        name: Kind(*(getattr(teller, f"{name}_{part}") for part in ("is", "up", "down")))
        for name in names
    }


class _Teller:
    """The edges between the stages' nouns; each stage tells its own facts through its service."""

    def __init__(self, ctx: Context, who: Who, searched: int) -> None:
        self.ctx, self.who, self.searched = ctx, who, searched
        self.unsearched = Counter[str]()

    async def prediction_is(self, id: str) -> Node:
        made = await serving.prediction(self.ctx, self.who, id)
        facts = {"confidence": round(made.confidence, 4), "at": made.at.isoformat()}
        title = f"{made.label} on endpoint {made.endpoint}"
        return Node(("prediction", id), title, facts)

    async def prediction_up(self, id: str) -> Sequence[Edge]:
        made = await serving.prediction(self.ctx, self.who, id)
        return [Edge(("version", made.version), "answered by")]

    async def prediction_down(self, id: str) -> Sequence[Edge]:
        return []

    async def version_is(self, id: str) -> Node:
        version = await registry.version(self.ctx, self.who, id)
        rollouts = await serving.rollouts_of(self.ctx, self.who, id)
        facts: dict[str, Any] = {
            "source": version.source,
            "digest": version.digest,
            "params": version.params,
            "metrics": version.metrics,
            "answered_on": sorted({endpoint for endpoint, _ in rollouts}),
        }
        return Node(("version", id), f"{version.model} version {version.number}", facts)

    async def version_up(self, id: str) -> Sequence[Edge]:
        version = await registry.version(self.ctx, self.who, id)
        return [Edge(("run", version.run), "made by")]

    async def version_down(self, id: str) -> Sequence[Edge]:
        found = await serving.latest_of(self.ctx, self.who, id, limit=SHOWN)
        more = max(0, found.total - len(found.ids))
        return _some("prediction", found.ids, "answered", more)

    async def run_is(self, id: str) -> Node:
        run = await registry.run(self.ctx, self.who, id)
        facts = {"state": run.state, "seed": run.seed, "params": run.params, "by": run.created_by}
        return Node(("run", id), f"training of {run.model} by recipe {run.recipe}", facts)

    async def run_up(self, id: str) -> Sequence[Edge]:
        run = await registry.run(self.ctx, self.who, id)
        return [Edge(("snapshot", run.snapshot), "trained on")]

    async def run_down(self, id: str) -> Sequence[Edge]:
        run = await registry.run(self.ctx, self.who, id)
        return [Edge(("version", run.version), "registered")] if run.version else []

    async def snapshot_is(self, id: str) -> Node:
        snapshot = await data.frozen(self.ctx, self.who, id)
        facts = {
            "hash": snapshot.hash,
            "records": snapshot.records,
            "by_split": snapshot.by_split,
            "contributors": snapshot.contributors,
        }
        # Its id, also where it was asked for by name: runs know it by that alone.
        return Node(
            ("snapshot", snapshot.id), f"{snapshot.name}: {snapshot.records} records", facts
        )

    async def snapshot_up(self, id: str) -> Sequence[Edge]:
        snapshot = await data.frozen(self.ctx, self.who, id)
        page = await data.snapshot_records(self.ctx, self.who, id, after=None, limit=SHOWN)
        ids = [line.id for line in page.items]
        return _some("record", ids, "contains", snapshot.records - len(ids))

    async def snapshot_down(self, id: str) -> Sequence[Edge]:
        runs = await registry.runs_on(self.ctx, self.who, id)
        return [Edge(("run", run.id), "trained") for run in runs]

    async def record_is(self, id: str) -> Node:
        record = await data.record(self.ctx, self.who, id)
        facts = {
            "content": record.content,
            "origin": record.origin,
            "quality": record.quality,
            "flags": record.flags,
            "received_at": record.received_at.isoformat(),
        }
        return Node(("record", id), f"a drawing of {record.label}", facts)

    async def record_up(self, id: str) -> Sequence[Edge]:
        record = await data.record(self.ctx, self.who, id)
        return [Edge(("contributor", record.contributor), "drawn by")] if record.contributor else []

    async def record_down(self, id: str) -> Sequence[Edge]:
        found = await data.snapshots_with(self.ctx, self.who, id, limit=self.searched)
        self.unsearched["snapshot"] += found.unsearched
        return [
            Edge(("snapshot", snapshot.id), f"frozen into the {split} split of")
            for snapshot, split in found.snapshots
        ]

    async def contributor_is(self, id: str) -> Node:
        return Node(("contributor", id), id, {})

    async def contributor_up(self, id: str) -> Sequence[Edge]:
        return []

    async def contributor_down(self, id: str) -> Sequence[Edge]:
        return []


def _some(kind: str, ids: Sequence[str], relation: str, more: int) -> list[Edge]:
    """Edges to the ids that are shown; the last one says how many are not."""
    edges = [Edge((kind, id), relation) for id in ids[:-1]]
    return edges + [Edge((kind, id), relation, more) for id in ids[-1:]]


def _fact(node: Node) -> schemas.Fact:
    kind, id = node.name
    return schemas.Fact(kind=kind, id=id, title=node.title, facts=dict(node.facts))  # type: ignore[arg-type] # a key of the table of kinds


def _links(up: Walk, down: Walk) -> list[schemas.Link]:
    upward = [(source, target, relation) for source, target, relation in up.links]
    # Downwards the walk goes from what was used to what was made of it: turned, to read alike.
    downward = [(target, source, relation) for source, target, relation in down.links]
    return [_link(source, target, relation) for source, target, relation in upward + downward]


def _link(source: Name, target: Name, relation: str) -> schemas.Link:
    return schemas.Link(source=source[1], target=target[1], relation=relation)
