"""What goes on in a server, for its first page and for `/metrics`; nothing tells who does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volano.core.db import EVERYWHERE
from volano.core.jobs import ledger
from volano.core.metrics import Level
from volano.core.segments import inbox
from volano.data import service as data
from volano.registry import service as registry
from volano.schemas.common import utc_now
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.context import Context

_SILENT = 5  # sweeps, and seconds, without a sign of life of a worker


async def roles(ctx: Context) -> list[str]:
    """List what runs of this server, on any machine."""
    async with ctx.db.read(EVERYWHERE) as tx:
        heard = await ledger.heard_s(tx)
    # Several signs of life may be late before it is a worker that is gone.
    silent = heard is None or heard > _SILENT * ctx.settings.jobs_sweep_s + _SILENT
    return ["api", "no worker heard" if silent else "worker"]


async def counts(ctx: Context) -> dict[str, int]:
    """Count what the first page shows, each under its words."""
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with ctx.db.read(EVERYWHERE) as tx:
        runs = await registry.run_states(tx)
        today = await inbox.received_since(tx, data.STREAM, round(midnight.timestamp() * 1000))
    endpoints = len(ctx.part(State).routing)
    return {
        "drawing today" if today == 1 else "drawings today": today,
        "run waiting" if runs.get("queued") == 1 else "runs waiting": runs.get("queued", 0),
        "run going on" if runs.get("running") == 1 else "runs going on": runs.get("running", 0),
        "endpoint answering" if endpoints == 1 else "endpoints answering": endpoints,
    }


async def levels(ctx: Context) -> list[Level]:
    """Return the figures of an operator that are in the database and not in one process."""
    async with ctx.db.read(EVERYWHERE) as tx:
        jobs = await ledger.census(tx)
        streams = await inbox.row_counts(tx)
        runs = await registry.run_states(tx)
    text = "Jobs that wait, run, or failed for good"
    levels = [
        Level("volano_jobs", text, row.n, {"topic": row.topic, "state": row.state}) for row in jobs
    ]
    for name, (waiting, quarantined, every) in streams.items():
        of = {"stream": name}
        levels.append(Level("volano_inbox_rows", "Rows that wait for a segment", waiting, of))
        text = "Rows that cannot be read: `volano data quarantine ls`"
        levels.append(Level("volano_rows_quarantined", text, quarantined, of))
        text = "Rows that were kept: drawings (records), logged predictions"
        levels.append(Level("volano_rows_total", text, every, of, "counter"))
    return levels + [Level("volano_runs", "Runs", n, {"state": state}) for state, n in runs.items()]
