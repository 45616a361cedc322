"""What one process keeps for serving, and how it begins."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from volano.core.segments.inbox import Inbox
from volano.serving.log import STREAM, PredictionLog
from volano.serving.runtime import InferenceExecutor, Routing

if TYPE_CHECKING:
    from volano.core.db import Database
    from volano.core.metrics import Metrics
    from volano.core.segments.parquet import Segments
    from volano.core.settings import Settings


@dataclass(frozen=True, slots=True)
class State:
    """Which versions answer here, where their graphs run, and what is still to be logged."""

    routing: Routing
    executor: InferenceExecutor
    log: PredictionLog
    segments: Segments
    """Reads predictions that have left the inbox of the log."""
    loading: WeakValueDictionary[tuple[str, str], asyncio.Lock]
    """Held while a version (workspace, id) is loaded: who waits for it finds it in memory."""

    async def close(self) -> None:
        """Commit what is to be logged, and end the threads once what runs is done."""
        await self.log.close()
        self.executor.close()


def open_state(db: Database, segments: Segments, metrics: Metrics, settings: Settings) -> State:
    """Return the state of a process in which nothing answers yet."""
    group, queue = settings.inbox_group, settings.inbox_queue
    inbox = Inbox(db, STREAM, None, group=group, queue=queue)
    return State(
        routing=Routing(settings.serving_loaded),
        executor=InferenceExecutor(metrics, deadline_s=settings.serving_deadline_ms / 1000),
        log=PredictionLog(inbox, metrics, interval_s=settings.serving_log_ms / 1000),
        segments=segments,
        loading=WeakValueDictionary(),
    )
