"""Where data comes from and what it touched: records, snapshots, contributors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from volano.data import service
from volano.data.datasets import service as datasets
from volano.schemas.accounts import Who
from volano.schemas.deletion import RecordDeleted
from volano.schemas.loop import SHOWN, Edge, Edges, Fact, Lineage, edges_to

if TYPE_CHECKING:
    from volano.core.context import Context

SEARCHED = 1000
"""Snapshots that are looked into for a record: some seconds at most; the others are counted."""


async def _snapshot(ctx: Context, who: Who, id: str) -> Fact:
    snapshot = await service.frozen(ctx, who, id)
    facts = {
        "hash": snapshot.hash,
        "records": snapshot.records,
        "by_split": snapshot.by_split,
        "contributors": snapshot.contributors,
    }
    title = f"{snapshot.name}: {snapshot.records} records"
    # Its id, also where it was asked for by name: runs know it by that alone.
    return Fact(kind="snapshot", id=snapshot.id, title=title, facts=facts)


async def _records_of(ctx: Context, who: Who, id: str) -> Edges:
    snapshot = await service.frozen(ctx, who, id)
    page = await service.snapshot_records(ctx, who, id, after=None, limit=SHOWN)
    ids = [line.id for line in page.items]
    return edges_to("record", ids, "contains", snapshot.records - len(ids))


async def _record(ctx: Context, who: Who, id: str) -> Fact:
    try:
        record = await service.record(ctx, who, id)
    except RecordDeleted:  # a snapshot leads to it still
        return Fact(kind="record", id=id, title="a deleted record")
    facts = {
        "content": record.content,
        "origin": record.origin,
        "quality": record.quality,
        "flags": record.flags,
        "received_at": record.received_at.isoformat(),
        "history": msgspec.to_builtins(await service.history(ctx, who, id)),
    }
    title = f"{record.kind} of {record.label}" if record.label else f"{record.kind} without a label"
    return Fact(kind="record", id=id, title=title, facts=facts)


async def _sources_of(ctx: Context, who: Who, id: str) -> Edges:
    try:
        record = await service.record(ctx, who, id)
    except RecordDeleted:
        return Edges()
    edges = [Edge(kind="dataset", id=record.dataset, relation="kept in")]
    if record.contributor:
        edges.append(Edge(kind="contributor", id=record.contributor, relation="given by"))
    return Edges(edges=edges)


async def _dataset(ctx: Context, who: Who, id: str) -> Fact:
    dataset = await datasets.dataset(ctx, who, id)
    facts = {"fields": dataset.fields, "licence": dataset.licence, "source": dataset.source}
    title = f"dataset {dataset.name}: {dataset.records} records"
    return Fact(kind="dataset", id=id, title=title, facts=facts)


async def _contributor(ctx: Context, who: Who, id: str) -> Fact:
    return Fact(kind="contributor", id=id, title=id)


def lineage(searched: int = SEARCHED) -> Lineage:
    """Return the lineage of data; the latest `searched` snapshots are looked into for a record."""

    async def snapshots_with(ctx: Context, who: Who, id: str) -> Edges:
        try:
            found = await service.snapshots_with(ctx, who, id, limit=searched)
        except RecordDeleted:
            return Edges()
        edges = [
            Edge(kind="snapshot", id=snapshot.id, relation=f"frozen into the {split} split of")
            for snapshot, split in found.snapshots
        ]
        return Edges(edges=edges, unsearched={"snapshot": found.unsearched})

    return Lineage(
        kinds={
            "snapshot": _snapshot,
            "record": _record,
            "dataset": _dataset,
            "contributor": _contributor,
        },
        up={"snapshot": _records_of, "record": _sources_of},
        down={"record": snapshots_with},
        ends=frozenset({"contributor"}),
    )
