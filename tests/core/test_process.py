"""What a process says about itself."""

import asyncio
from contextlib import suppress

from volano.core.metrics import Metrics
from volano.core.process import measure, resident_bytes


async def test_memory_processor_time_and_lateness_are_figures() -> None:
    metrics = Metrics()

    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await measure(metrics, "api", every_s=0.001)

    told = dict(line.rsplit(" ", 1) for line in metrics.exposition().splitlines() if line[0] != "#")
    assert resident_bytes() / 2 <= float(told['volano_resident_bytes{role="api"}'])
    assert float(told['volano_cpu_seconds_total{role="api"}']) > 0
    assert float(told['volano_loop_late_seconds_count{role="api"}']) > 0
