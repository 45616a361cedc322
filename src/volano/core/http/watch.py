"""What is written down about every request: figures for all, a line for those that went wrong."""

import logging
import time
from collections.abc import Callable

import structlog
from starlette.types import Scope

from volano.core.metrics import Metrics

SLOW_S = 1.0
"""An answer that took longer is worth a line."""

MOST_LINES = 50
"""Lines per second: a flood of refusals must not cost more than refusing it."""

log = structlog.get_logger("http")


class Watch:
    """Counts the requests of a process and how long they took."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("method", "route", "status")
        self.seconds = metrics.histogram(
            "volano_http_request_seconds", "Time from the head of a request to its answer", labels
        )
        # Asked once: building a line that nobody reads would cost each request some microseconds.
        self._is_debugged = logging.getLogger().isEnabledFor(logging.DEBUG)
        self._second = 0
        self._lines = 0

    def answered(self, scope: Scope, route: str, status: int, started: float) -> None:
        """Note one request; `started` is of `time.perf_counter`."""
        now = time.perf_counter()
        took = now - started
        self.seconds.observe(took, scope["method"], route, _CLASSES[status // 100])
        if status >= 400 or took > SLOW_S:
            if self._may_write(int(now)):
                _write(getattr(log, _level(status)), scope, route, status, took)
        elif self._is_debugged:
            _write(log.debug, scope, route, status, took)

    def _may_write(self, second: int) -> bool:
        if second != self._second:
            if self._lines > MOST_LINES:
                log.warning("requests not written down", count=self._lines - MOST_LINES)
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= MOST_LINES


def _level(status: int) -> str:
    """A refusal for want of room is not a fault: it asks for room."""
    if status == 503:
        return "warning"
    return "error" if status >= 500 else "info"


def _write(write: Callable[..., object], scope: Scope, route: str, status: int, s: float) -> None:
    # The route, not the path: a path may hold what a person typed.
    write("request", method=scope["method"], route=route, status=status, ms=round(s * 1e3, 2))


_CLASSES = ("cut", "1xx", "2xx", "3xx", "4xx", "5xx")
