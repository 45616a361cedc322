"""The Run that a model is handed while it works, in a terminal, a worker's child or a test."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from volano.harness.events import Events, Outbox
from volano.harness.failures import writable
from volano.harness.model import RunCancelled, RunOutOfTime
from volano.schemas.harness import (
    ContractBroken,
    MetricNotFinite,
    Phase,
    PhaseName,
    Point,
    Reached,
    Warned,
)
from volano.schemas.registry import Progress

Clock = Callable[[], float]

NOTE_LIMIT = 500
"""Characters of a progress note and of a warning."""

WARNINGS_LIMIT = 20
"""Different warnings of one run; any further ones are left out."""

NAME_LIMIT = 200
"""Characters of a metric's name, which has no control characters either."""

RING_AGAIN_S = 0.01
"""Seconds until an alarm that was raised where Python drops exceptions is raised once more."""


class LocalRun:
    """A Run in this process; implements `volano.harness.model.Run`.

    Every call of `log` and `progress` is a point at which a cancelled or overdue run stops.
    A metric that is NaN or infinite stops it too (MetricNotFinite): such a run has diverged, and
    every further second of it is wasted.
    """

    def __init__(
        self,
        *,
        data: Path,
        artefact: Path,
        seed: int = 0,
        seconds: float = 300.0,
        events: Events,
        clock: Clock = time.monotonic,
    ) -> None:
        self.data, self.artefact = data, artefact
        self.seed, self.seconds = seed, seconds
        self.phases: dict[str, float] = {}
        """Seconds spent in each phase so far."""
        self._events, self._clock = events, clock
        self._started = clock()
        self._outbox = Outbox(events, clock)
        # Loops may report from several threads; re-entrant, for calls from signal handlers.
        self._lock = threading.RLock()
        self._warnings: set[str] = set()
        self._cancelled = False

    def log(self, step: int, **metrics: float) -> None:
        """Record points of metric series at one step; array scalars are taken as numbers.

        Raises: RunCancelled, RunOutOfTime, MetricNotFinite, ContractBroken (not a number, or no
        step or name that a metric can have).
        """
        self._stop_if_over()
        values = {_name(name): _number(step, name, value) for name, value in metrics.items()}
        if not -(2**63) <= (whole := int(step)) < 2**63:
            raise ContractBroken(reason=f"the step {whole} is beyond 64 bits")
        with self._lock:
            self._outbox.point(Point(step=whole, at_s=self.at_s(), values=values))

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say how far the work is; a total that is not finite is one that is not known.

        Raises: RunCancelled, RunOutOfTime.
        """
        self._stop_if_over()
        done, total = float(done), float(total)
        if not (math.isfinite(done) and math.isfinite(total)):
            done = total = 0.0
        reached = Progress(done=done, total=total, note=writable(str(note)[:NOTE_LIMIT]))
        with self._lock:
            self._outbox.reached(Reached(at_s=self.at_s(), progress=reached))

    def warn(self, text: str) -> None:
        """Tell whoever reads the results what they should know; the same words only once.

        Raises: RunCancelled, RunOutOfTime.
        """
        self._stop_if_over()
        told = writable(str(text)[:NOTE_LIMIT])
        with self._lock:
            if told not in self._warnings and len(self._warnings) < WARNINGS_LIMIT:
                self._warnings.add(told)
                self._events(Warned(at_s=self.at_s(), text=told))

    def seconds_left(self) -> float:
        """Return the time until the run is stopped; never negative, so that a loop can end.

        Raises: RunCancelled.
        """
        if self._cancelled:
            raise RunCancelled("The run was cancelled.")
        return max(0.0, self.seconds - self.at_s())

    def cancel(self) -> None:
        """Make the next call raise RunCancelled; safe in a signal handler and from any thread."""
        self._cancelled = True

    def at_s(self) -> float:
        """Return the seconds since the run's start, to the millisecond."""
        return round(self._clock() - self._started, 3)

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[None]:
        """Tell that a phase begins, measure it, and send what waits when it ends."""
        self._stop_if_over()
        self._events(Phase(at_s=self.at_s(), name=name))
        began = self._clock()
        try:
            yield
        finally:
            self.phases[name] = round(self._clock() - began, 3)
            with self._lock:
                self._outbox.flush()

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Raise RunOutOfTime inside, wherever the code is when time is up, if that can be.

        It can be in the main thread of a POSIX process while Python code runs; a call into native
        code is interrupted when it returns. Elsewhere only calls to the run stop it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, max(self.seconds - self.at_s(), 0.001))
        try:
            with _retried_where_lost():
                yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _stop_if_over(self) -> None:
        if self.seconds_left() <= 0:
            raise self._out_of_time()

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        raise self._out_of_time()

    def _out_of_time(self) -> RunOutOfTime:
        return RunOutOfTime(f"The {self.seconds:g} s allowed for the run are used up.")


@contextmanager
def _retried_where_lost() -> Iterator[None]:
    """Ring again where the alarm was lost.

    Python drops what is raised in a `__del__` or a weakref's callback: whichever of them happened
    to run when time was up would let the code go on.
    """
    before = sys.unraisablehook

    def told(lost: "sys.UnraisableHookArgs") -> None:
        if isinstance(lost.exc_value, RunOutOfTime):
            signal.setitimer(signal.ITIMER_REAL, RING_AGAIN_S)
        else:
            before(lost)

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = before


def _name(name: str) -> str:
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        reason = f"{name[:NAME_LIMIT]!r} cannot be the name of a metric"
        raise ContractBroken(reason=reason)
    return name


def _number(step: int, name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type] # whatever has __float__: array scalars too
    except (TypeError, ValueError):
        raise ContractBroken(
            reason=f"the metric {name!r} is a {type(value).__name__}, not a number"
        ) from None
    if not math.isfinite(number):
        raise MetricNotFinite(name=name, step=step, value=number)
    return number
