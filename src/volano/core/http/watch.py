"""What is written down about every request: figures for all, a line for those that went wrong."""

import time

import structlog
from starlette.types import Scope

from volano.core.metrics import Metrics

SLOW_S = 1.0
"""An answer that took longer is worth a line."""

log = structlog.get_logger("http")


class Watch:
    """Counts the requests of a process and how long they took."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("method", "route", "status")
        self.seconds = metrics.histogram(
            "volano_http_request_seconds", "Time from the head of a request to its answer", labels
        )

    def answered(self, scope: Scope, route: str, status: int, started: float) -> None:
        """Note one request; `started` is of `time.perf_counter`."""
        took = time.perf_counter() - started
        self.seconds.observe(took, scope["method"], route, _CLASSES[status // 100])
        if status >= 400 or took > SLOW_S:
            # The route, not the path: a path may hold what a person typed.
            write = log.error if status >= 500 else log.info
            write("request", method=scope["method"], route=route, status=status, ms=took * 1e3)


_CLASSES = ("cut", "1xx", "2xx", "3xx", "4xx", "5xx")
