"""What one process costs the machine, and how late its event loop is."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from volano.core.metrics import Metrics

EVERY_S = 1.0

_STATM = Path("/proc/self/statm")


async def measure(metrics: Metrics, role: str, *, every_s: float = EVERY_S) -> None:
    """Keep the figures of this process up to date until cancelled."""
    labels = ("role",)
    resident = metrics.gauge(
        "volano_resident_bytes", "Memory of the processes (Linux alone tells)", labels
    )
    cpu = metrics.counter("volano_cpu_seconds_total", "Processor time of the processes", labels)
    late = metrics.histogram(
        "volano_loop_late_seconds", "How late the event loop did what was due", labels
    )
    loop, spent = asyncio.get_running_loop(), 0.0
    while True:
        before, spent = spent, time.process_time()
        cpu.add(role, by=spent - before)
        resident.set(resident_bytes(), role)
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        late.observe(max(0.0, loop.time() - due), role)


def cores() -> int:
    """Return how many cores this process may use: on Linux those it is pinned to, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resident_bytes() -> int:
    """Return the physical memory of this process; 0 where the system tells it in no file."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
