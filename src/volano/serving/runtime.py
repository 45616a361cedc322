"""Versions in memory: which one answers where, and how their graphs are run in time.

Quick graphs run on the event loop, the others behind one queue in threads. A thread costs a quick
one half of its throughput, and a slow one on the loop would hold up every other answer (both
measured), so the measured cost decides.

Each process has a thread for every core, so that one to which the kernel has given most of the
connections still fills the machine; where all are busy, calls take longer and the averages tell.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from volano.core.metrics import Metrics
from volano.core.process import cores
from volano.schemas.common import Overloaded
from volano.schemas.registry import VersionFile

Floats = NDArray[np.float32]
GraphInputs = dict[str, NDArray[Any]]
"""What a graph is fed with, by the name of each of its inputs; `count` has one number a drawing."""

Address = tuple[str, str]
"""Workspace and endpoint."""

INLINE_S = 0.001
"""A call that takes less runs on the event loop."""

SHARE_TO_COMPUTE = 0.8
"""Share of a deadline that waiting and computing may take; the rest is for the way."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
"""Between two tries to load what could not be loaded."""

_FAILED_KEPT = 1000  # changes that could not be followed, the latest ones
_BEAT_S = 0.01
_LATE_SHARE = 0.2
"""A loop may be late by this share of the deadline: an answer waits for it two or three times."""

_WEIGHT = 0.1  # of the newest measurement in the average cost of a call


class CallCost:
    """What one input takes, s: measured when the version was loaded, then a moving average."""

    __slots__ = ("at_start_s", "now_s")

    def __init__(self, seconds: float) -> None:
        self.at_start_s = self.now_s = seconds

    def measured(self, seconds: float) -> None:
        """Take in one more measurement; never one of a call that failed."""
        self.now_s += _WEIGHT * (seconds - self.now_s)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """A version that can answer."""

    version: str
    told: VersionFile
    session: Any
    """Of onnxruntime."""
    cost: CallCost


def run(session: Any, inputs: GraphInputs) -> Floats:
    """Call the graph once and return calibrated probabilities (inputs, classes)."""
    scores: Floats = session.run(["probabilities"], inputs)[0]
    return scores


@dataclass(frozen=True, slots=True)
class ActiveVersion:
    """What answers on one endpoint since the change `sequence`."""

    sequence: int
    loaded: LoadedVersion


@dataclass(frozen=True, slots=True)
class FailedChange:
    """The change `sequence` could not be followed; it is not tried again before `until`, s."""

    sequence: int
    until: float
    pause_s: float


class Routing:
    """Active versions by address, at most `limit`: the least recently used one goes first.

    A swap is one assignment; a request keeps the version it began with.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._active: OrderedDict[Address, ActiveVersion] = OrderedDict()
        self._failed: dict[Address, FailedChange] = {}

    def find(self, address: Address) -> ActiveVersion | None:
        """Return what answers there, None if nothing is loaded."""
        active = self._active.get(address)
        if active is not None:
            self._active.move_to_end(address)
        return active

    def put(self, address: Address, active: ActiveVersion) -> bool:
        """Let `active` answer there; return False if something as new already does."""
        there = self._active.get(address)
        if there is not None and there.sequence >= active.sequence:
            return False
        self._active[address] = active
        self._active.move_to_end(address)
        self._failed.pop(address, None)
        if len(self._active) > self.limit:
            self._active.popitem(last=False)
        return True

    def loaded(self, workspace: str, version: str) -> LoadedVersion | None:
        """Return the version if it answers on any endpoint of the workspace already."""
        found = (a.loaded for (owner, _), a in self._active.items() if owner == workspace)
        return next((loaded for loaded in found if loaded.version == version), None)

    def addresses(self) -> set[Address]:
        """Return every address where something answers or a change could not be followed."""
        return {*self._active, *self._failed}

    def wants(self, address: Address, sequence: int, now: float) -> bool:
        """Tell whether this change is news here, there is room, and it did not just fail."""
        there = self._active.get(address)
        is_news = len(self._active) < self.limit if there is None else there.sequence < sequence
        return is_news and self.may_try(address, sequence, now)

    def failed(self, address: Address, sequence: int, now: float) -> bool:
        """Note that this change could not be followed; return False if that was known."""
        before, pause_s = self._failed.pop(address, None), FIRST_PAUSE_S
        if before is not None and before.sequence == sequence:
            pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S)
        self._failed[address] = FailedChange(sequence, now + pause_s, pause_s)
        if len(self._failed) > _FAILED_KEPT:
            self._failed.pop(next(iter(self._failed)))
        return pause_s == FIRST_PAUSE_S

    def may_try(self, address: Address, sequence: int, now: float) -> bool:
        """Tell whether this change did not fail a moment ago."""
        failed = self._failed.get(address)
        return failed is None or failed.sequence != sequence or failed.until <= now

    def __len__(self) -> int:
        return len(self._active)


class InferenceExecutor:
    """Runs calls of graphs, and refuses those that could not be answered within their deadline."""

    def __init__(self, metrics: Metrics, *, deadline_s: float, sessions: int = 0) -> None:
        self.deadline_s = deadline_s
        self.sessions = sessions or cores()
        self._threads = ThreadPoolExecutor(self.sessions, "volano-runtime")
        self._calls = 0
        self._work_s = 0.0
        self._shedder = LoadShedder(_LATE_SHARE * deadline_s)
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

    def admit(self, loaded: LoadedVersion, deadline_s: float) -> None:
        """Let one request in; called before its body is read, so that refusing costs little.

        Raises: Overloaded.
        """
        self._asked = True
        if self._timer is None:
            now = time.monotonic()
            self._shedder.beat(0.0, now - self._beat_at)
            self._schedule(now)
        if not self._shedder.lets_in():
            self._refuse("loop", self.deadline_s)
        if loaded.cost.at_start_s >= INLINE_S:
            self._check(loaded.cost.now_s, deadline_s)

    async def run(self, loaded: LoadedVersion, inputs: GraphInputs, deadline_s: float) -> Floats:
        """Call the graph once and return probabilities (inputs, classes).

        Raises: Overloaded (it could not end in time).
        """
        many = len(inputs["count"])
        if loaded.cost.at_start_s * many < INLINE_S:
            return run(loaded.session, inputs)
        cost_s = loaded.cost.now_s * many
        self._check(cost_s, deadline_s)
        # What begins at once may take as long as it takes.
        patience_s = max(0.0, deadline_s - cost_s) if self._is_full else float("inf")
        begin_by = time.monotonic() + patience_s
        self._enter(1, cost_s)
        try:
            timed = await asyncio.get_running_loop().run_in_executor(
                self._threads, _timed, loaded, inputs, begin_by
            )
        finally:
            self._enter(-1, -cost_s)
        if timed is None:
            self._refuse("queue", cost_s)
        scores, seconds = timed
        loaded.cost.measured(seconds / many)
        return scores

    @property
    def _is_full(self) -> bool:
        return self._calls >= self.sessions

    def _check(self, cost_s: float, deadline_s: float) -> None:
        eta = eta_s(self._work_s, cost_s, self.sessions)
        if self._is_full and eta > SHARE_TO_COMPUTE * deadline_s:
            self._refuse("queue", eta)

    def _refuse(self, by: str, again_s: float) -> NoReturn:
        self._refused.add(by)
        raise Overloaded(retry_after_s=round(again_s, 3))

    def _enter(self, calls: int, work_s: float) -> None:
        self._calls += calls
        self._work_s = max(0.0, self._work_s + work_s) if self._calls else 0.0
        self._waiting.set(self._calls)

    def _schedule(self, now: float) -> None:
        """Look again how late the event loop is, for as long as somebody asks."""
        self._beat_at, self._asked = now, False
        self._timer = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        self._timer, now = None, time.monotonic()
        elapsed_s = now - self._beat_at
        self._shedder.beat(elapsed_s - _BEAT_S, elapsed_s)
        self._beat_at = now
        if self._asked:
            self._schedule(now)


def _timed(
    loaded: LoadedVersion, inputs: GraphInputs, begin_by: float
) -> tuple[Floats, float] | None:
    """Return the scores and the time they took, s; None where it is too late to begin."""
    began = time.monotonic()
    if began > begin_by:
        return None
    scores = run(loaded.session, inputs)
    return scores, time.monotonic() - began


def eta_s(work_s: float, cost_s: float, sessions: int) -> float:
    """Estimate when the answer is there: `cost_s` of work behind `work_s` that waits or runs."""
    return (work_s + cost_s) / sessions


class LoadShedder:
    """The share of requests that an event loop lets in while it runs behind.

    An integral controller that holds the lateness of a timer near `target_s`. The share may rise
    above one, so that a hiccup of some 100 ms refuses nobody.
    """

    __slots__ = ("_credit", "share", "target_s")

    GAIN_PER_S = 2.0
    LEAST, MOST = 0.05, 1.5
    WORST = -2.0

    def __init__(self, target_s: float) -> None:
        self.target_s = target_s
        self.share = self.MOST
        self._credit = 0.0

    def beat(self, late_s: float, elapsed_s: float) -> None:
        """Take in that a timer came `late_s` after it was due, `elapsed_s` after the one before."""
        error = max(self.WORST, 1.0 - late_s / self.target_s)
        share = self.share + self.GAIN_PER_S * elapsed_s * error
        self.share = min(self.MOST, max(self.LEAST, share))

    def lets_in(self) -> bool:
        """Tell whether the next request is among those that are let in; evenly spread."""
        self._credit += min(1.0, self.share)
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
