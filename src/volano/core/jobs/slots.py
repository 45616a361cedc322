"""How many jobs of one queue a worker has: those in its slots, and some claimed ahead."""

import asyncio
from typing import Final

AHEAD: Final = 64
"""Most jobs that are claimed ahead."""
AHEAD_S: Final = 0.05
"""Jobs are claimed ahead that will have a slot within this time, going by those before them."""

_INERTIA = 8  # jobs until a change of pace counts by two thirds


class Slots:
    """The slots of one worker for the jobs of one queue."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)
        self._claimed = self._ending = 0
        self._pace_s = 1.0  # a job's time in its slot

    def room(self) -> int:
        """Return how many jobs to claim: many at a time rather than each as a slot is free."""
        if self._claimed > self.count:
            return 0
        ahead = min(AHEAD, int(self.count * AHEAD_S / self._pace_s))
        return min(self.count + ahead, self.count + 2 * AHEAD - self._ending) - self._claimed

    def join(self) -> None:
        """Count a job that was claimed."""
        self._claimed += 1

    async def enter(self) -> None:
        """Wait for a slot."""
        await self._free.acquire()

    def leave(self, seconds: float | None) -> None:
        """Let the next job have the slot of one that is ending, unless it never had one (None)."""
        self._claimed -= 1
        self._ending += 1
        if seconds is not None:
            self._free.release()
            self._pace_s += (max(seconds, 1e-6) - self._pace_s) / _INERTIA

    def slow_down(self, seconds: float) -> None:
        """Take jobs to last at least so long, since those claimed ahead wait in vain."""
        self._pace_s = max(self._pace_s, self.count * seconds)

    def end(self) -> None:
        """Forget a job that has left and is over."""
        self._ending -= 1
