"""What is written down about every request: figures for all, a line for those that went wrong."""

import time

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
        self._second = 0
        self._lines = 0

    def answered(self, scope: Scope, route: str, status: int, started: float) -> None:
        """Note one request; `started` is of `time.perf_counter`."""
        now = time.perf_counter()
        took = now - started
        self.seconds.observe(took, scope["method"], route, _CLASSES[status // 100])
        if (status >= 400 or took > SLOW_S) and self._may_write(int(now)):
            # The route, not the path: a path may hold what a person typed.
            write = log.error if status >= 500 else log.info
            write("request", method=scope["method"], route=route, status=status, ms=took * 1e3)

    def _may_write(self, second: int) -> bool:
        if second != self._second:
            if self._lines > MOST_LINES:
                log.warning("requests not written down", count=self._lines - MOST_LINES)
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= MOST_LINES


_CLASSES = ("cut", "1xx", "2xx", "3xx", "4xx", "5xx")
