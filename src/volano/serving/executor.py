"""Where versions compute: quick ones on the event loop, the others behind one queue in threads.

A part: state of one process. A thread costs a quick version half of its throughput, and a slow one
would hold up every other answer (both measured), so the measured cost decides.

Each process has a thread for every core, so that one to which the kernel has given most of the
connections still fills the machine; where all are busy, calls take longer and the averages tell.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from volano.core.metrics import Metrics
from volano.core.process import cores
from volano.schemas.common import Overloaded
from volano.serving import runtime
from volano.serving.admission import WITHIN, Pace, eta_s
from volano.serving.features import Feed
from volano.serving.runtime import Floats, Loaded

INLINE_S = 0.001
"""A call that takes less runs on the event loop."""

_BEAT_S = 0.01
_LATE_SHARE = 0.2
"""A loop may be late by this share of the deadline: an answer waits for it two or three times."""


class InferenceExecutor:
    """Runs calls of graphs, and refuses those that could not be answered within their deadline."""

    def __init__(self, metrics: Metrics, *, deadline_s: float, sessions: int = 0) -> None:
        self.deadline_s = deadline_s
        self.sessions = sessions or cores()
        self._threads = ThreadPoolExecutor(self.sessions, "volano-runtime")
        self._calls = 0
        self._work_s = 0.0
        self._pace = Pace(_LATE_SHARE * deadline_s)
        self._beat_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False
        self._refused = metrics.counter(
            "volano_predictions_refused_total", "Predictions not let in, by what was busy.", ("by",)
        )
        self._waiting = metrics.gauge(
            "volano_predictions_queued", "Calls of slow versions that wait or run."
        )

    def close(self) -> None:
        """End the threads once what runs is done."""
        if self._timer is not None:
            self._timer.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def admit(self, loaded: Loaded, deadline_s: float) -> None:
        """Let one request in; called before its body is read, so that refusing costs little.

        Raises: Overloaded.
        """
        self._watch()
        if not self._pace.lets_in():
            self._refuse("loop", self.deadline_s)
        if loaded.cost.at_start_s >= INLINE_S:
            self._check(loaded.cost.now_s, deadline_s)

    async def run(self, loaded: Loaded, feed: Feed, deadline_s: float) -> Floats:
        """Probabilities (inputs, classes) of one call of the graph.

        Raises: Overloaded (it could not end in time).
        """
        inputs = len(feed["count"])
        if loaded.cost.at_start_s * inputs < INLINE_S:
            return runtime.run(loaded.session, feed)
        cost_s = loaded.cost.now_s * inputs
        self._check(cost_s, deadline_s)
        # What begins at once may take as long as it takes.
        patience_s = max(0.0, deadline_s - cost_s) if self._is_full else float("inf")
        begin_by = time.monotonic() + patience_s
        self._enter(1, cost_s)
        try:
            timed = await asyncio.get_running_loop().run_in_executor(
                self._threads, _timed, loaded, feed, begin_by
            )
        finally:
            self._enter(-1, -cost_s)
        if timed is None:
            self._refuse("queue", cost_s)
        scores, seconds = timed
        loaded.cost.seen(seconds / inputs)
        return scores

    @property
    def _is_full(self) -> bool:
        return self._calls >= self.sessions

    def _check(self, cost_s: float, deadline_s: float) -> None:
        eta = eta_s(self._work_s, cost_s, self.sessions)
        if self._is_full and eta > WITHIN * deadline_s:
            self._refuse("queue", eta)

    def _refuse(self, by: str, again_s: float) -> NoReturn:
        self._refused.add(by)
        raise Overloaded(retry_after_s=round(again_s, 3))

    def _enter(self, calls: int, work_s: float) -> None:
        self._calls += calls
        self._work_s = max(0.0, self._work_s + work_s) if self._calls else 0.0
        self._waiting.set(self._calls)

    def _watch(self) -> None:
        """Look how late the event loop is, for as long as somebody asks."""
        self._asked = True
        if self._timer is None:
            now = time.monotonic()
            self._pace.seen(0.0, now - self._beat_at)
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        self._beat_at, self._asked = now, False
        self._timer = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        self._timer, now = None, time.monotonic()
        elapsed_s = now - self._beat_at
        self._pace.seen(elapsed_s - _BEAT_S, elapsed_s)
        self._beat_at = now
        if self._asked:
            self._schedule(now)


def _timed(loaded: Loaded, feed: Feed, begin_by: float) -> tuple[Floats, float] | None:
    """The scores and the time they took, s; None where it is too late to begin."""
    began = time.monotonic()
    if began > begin_by:
        return None
    scores = runtime.run(loaded.session, feed)
    return scores, time.monotonic() - began
