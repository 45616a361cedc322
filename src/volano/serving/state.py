"""What one process keeps for serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from weakref import WeakValueDictionary

    from volano.core.compute import WorkerPool
    from volano.core.segments.parquet import Segments
    from volano.serving.log import PredictionLog
    from volano.serving.predicting import InferenceExecutor
    from volano.serving.routing import Routing


@dataclass(frozen=True, slots=True)
class State:
    """Which versions answer here, where their graphs run, and what is still to be logged."""

    routing: Routing
    executor: InferenceExecutor
    log: PredictionLog
    segments: Segments
    """Reads predictions that have left the inbox of the log."""
    decoders: WorkerPool
    """Limited processes that decode images."""
    loading: WeakValueDictionary[tuple[str, str], asyncio.Lock]
    """Held while a version (workspace, id) is loaded: who waits for it finds it in memory."""

    async def close(self) -> None:
        """Commit what is to be logged, and end the threads once what runs is done."""
        await self.log.close()
        self.executor.close()
        await self.decoders.close()
