"""The way of a prediction, from the admission to the answer: its files in memory, no database.

Quick graphs run on the event loop, the others behind one queue in threads. A thread costs a quick
one half of its throughput, and a slow one on the loop would hold up every other answer (both
measured), so the measured cost decides.

Each process has a thread for every core, so that one to which the kernel has given most of the
connections still fills the machine; where all are busy, calls take longer and the averages tell.
"""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from volano.core.metrics import Metrics
from volano.core.process import cores
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Overloaded, utc_now
from volano.schemas.errors import VolanoError
from volano.serving import following
from volano.serving.log import Answer
from volano.serving.routing import ActiveVersion, LoadedVersion
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.context import Context

Floats = NDArray[np.float32]
GraphInputs = dict[str, NDArray[Any]]
"""What a graph is fed with, by the name of each of its inputs."""

INLINE_S = 0.001
"""A call that takes less runs on the event loop."""

SHARE_TO_COMPUTE = 0.8
"""Share of a deadline that waiting and computing may take; the rest is for the way."""

_BEAT_S = 0.01
_LATE_SHARE = 0.2
"""A loop may be late by this share of the deadline: an answer waits for it two or three times."""


async def admit(ctx: Context, who: Who, name: str, *, deadline_ms: int | None = None) -> None:
    """Let a request for predictions in, before its body is read.

    Raises: Missing (no such endpoint), NothingActive, Overloaded (it would come too late).
    """
    active = await _answering(ctx, who, name)
    ctx.part(State).executor.admit(active.loaded, _deadline_s(ctx, deadline_ms))


async def predict(
    ctx: Context,
    who: Who,
    name: str,
    request: schemas.PredictRequest,
    *,
    deadline_ms: int | None = None,
) -> schemas.PredictResponse:
    """Let the endpoint's version answer for each input; warm, it asks no database.

    One of many inputs that cannot be read has a FailedPrediction; a single one is refused.

    Raises: OneOrMany, Missing, NothingActive, Overloaded, Invalid (what was sent is no input).
    """
    if (request.input is None) == (request.inputs is None):
        raise schemas.OneOrMany
    asked = [request.input] if request.input is not None else request.inputs or []
    state, active = ctx.part(State), await _answering(ctx, who, name)
    loaded = active.loaded
    # Of one kind, the adapter's own: mypy cannot know that `feed` takes what `read` gives.
    given: list[Any] = list(await loaded.inputs.read(ctx, who, asked))
    sound = [one for one in given if not isinstance(one, VolanoError)]
    if not sound and len(given) == 1:
        raise given[0]
    made: list[schemas.Prediction] = []
    if sound:
        fed = loaded.inputs.feed(sound)
        scores = await state.executor.run(loaded, fed, len(sound), _deadline_s(ctx, deadline_ms))
        made = loaded.outputs.answers(scores)
        if active.policy.log != "none":
            await _log(state, who, name, active, made, sound)
    predictions: list[schemas.Prediction | schemas.FailedPrediction] = list(made)
    if len(made) < len(given):
        answers = iter(made)
        predictions = [
            _failed(one) if isinstance(one, VolanoError) else next(answers) for one in given
        ]
    return schemas.PredictResponse(endpoint=name, version=loaded.version, predictions=predictions)


async def _answering(ctx: Context, who: Who, name: str) -> ActiveVersion:
    """Return what answers on the endpoint, loaded where this process has not (or no longer).

    Raises: Missing, NothingActive.
    """
    address = who.workspace, name
    answering = ctx.part(State).routing.active
    if (active := answering.get(address)) is None:
        return await following.bring_in(ctx, address)
    answering.move_to_end(address)
    return active


async def _log(
    state: State,
    who: Who,
    name: str,
    active: ActiveVersion,
    made: list[schemas.Prediction],
    given: list[Any],
) -> None:
    """Log predictions as the endpoint's policy says; where it is durable, return once stored.

    Raises: Overloaded, DatabaseUnavailable, StorageFull (of a durable endpoint).
    """
    policy, now, version = active.policy, utc_now(), active.loaded.version
    answers = [
        Answer(name, version, now, prediction, one, _is_among(policy.inputs))
        for prediction, one in zip(made, given, strict=True)
        if _is_among(policy.log)
    ]
    if policy.durable:
        await state.log.store(who.workspace, answers)
    else:
        state.log.add(who.workspace, answers)


def _is_among(share: schemas.Share) -> bool:
    """Tell whether one more is of this share."""
    return share == "all" or (share != "none" and random.random() < share)


def _failed(error: VolanoError) -> schemas.FailedPrediction:
    error = error.shortened()
    return schemas.FailedPrediction(code=error.code, detail=error.message, remedy=error.advice)


def _deadline_s(ctx: Context, asked_ms: int | None) -> float:
    return (ctx.settings.serving_deadline_ms if asked_ms is None else asked_ms) / 1000


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

    async def run(
        self, loaded: LoadedVersion, inputs: GraphInputs, many: int, deadline_s: float
    ) -> Floats:
        """Call the graph once for so many inputs and return its output, a row for each.

        Raises: Overloaded (it could not end in time).
        """
        if loaded.cost.at_start_s * many < INLINE_S:
            return _call(loaded, inputs)
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
    given = _call(loaded, inputs)
    return given, time.monotonic() - began


def _call(loaded: LoadedVersion, inputs: GraphInputs) -> Floats:
    given: Floats = loaded.session.run([loaded.outputs.name], inputs)[0]
    return given


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
