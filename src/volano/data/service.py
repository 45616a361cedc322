"""The verbs of data for other stages, and putting onto the shelf what waits in the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from volano.core.segments import compact
from volano.core.segments.inbox import Row
from volano.data import ingest, store
from volano.data.attributes import store as statements
from volano.data.attributes.service import history, state, state_all
from volano.data.datasets.service import ensure_drawings, sizes
from volano.data.frozen import (
    Containing,
    freeze,
    frozen,
    scan,
    snapshot_records,
    snapshots,
    snapshots_with,
    split_file,
    stage,
)
from volano.data.intake import add, add_one
from volano.data.records import (
    content,
    contents,
    count,
    labels,
    page,
    payload,
    record,
    recount,
    waiting_heads,
)
from volano.data.state import COMPACT, STREAM, State, open_state

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.core.jobs import Job

__all__ = [
    "COMPACT",
    "STREAM",
    "Containing",
    "State",
    "add",
    "add_one",
    "compact_records",
    "content",
    "contents",
    "count",
    "ensure_drawings",
    "freeze",
    "frozen",
    "history",
    "labels",
    "open_state",
    "page",
    "payload",
    "record",
    "recount",
    "scan",
    "sizes",
    "snapshot_records",
    "snapshots",
    "snapshots_with",
    "split_file",
    "stage",
    "state",
    "state_all",
    "waiting_heads",
]


async def compact_records(ctx: Context, job: Job, moved: ingest.Moved) -> int:
    """Move what waits in the inbox onto the shelf, scored; return how many records.

    `moved` runs in the same transaction. A row that cannot be read or scored goes into quarantine.
    """

    def plan(
        rows: Sequence[Row], scored: Sequence[ingest.Scored]
    ) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            await store.add_records(tx, ingest.shelf_rows(rows, scored, segment.id))
            await statements.add(tx, ingest.statements(rows, scored))
            await moved(tx, [one.head for one in scored])

        return ingest.table(rows, scored), shelve

    return await compact.compact(ctx, job, STREAM, ingest.read, plan)
