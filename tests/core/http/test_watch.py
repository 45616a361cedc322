"""Every request is a figure; those that went wrong are lines, but never a flood."""

import logging
import time

import pytest
import structlog

from volano.core.http.app import MOST_LINES, RequestLog
from volano.core.metrics import Metrics


def test_a_request_that_went_well_is_a_figure_and_no_line() -> None:
    metrics = Metrics()

    with structlog.testing.capture_logs() as lines:
        RequestLog(metrics).answered("GET", "/things/{id}", 200, time.perf_counter())

    assert lines == []
    count = 'volano_http_request_seconds_count{method="GET",route="/things/{id}",status="2xx"} 1'
    assert count in metrics.exposition().splitlines()


def test_a_failure_and_a_slow_answer_are_lines() -> None:
    request_log = RequestLog(Metrics())

    with structlog.testing.capture_logs() as lines:
        now = time.perf_counter()
        request_log.answered("GET", "/a", 404, now)
        request_log.answered("PUT", "/b", 500, now)
        request_log.answered("GET", "/c", 200, now - 5)
        request_log.answered("GET", "", 499, now)
        request_log.answered("GET", "/a", 503, now)

    levels = [("info", 404), ("error", 500), ("info", 200), ("info", 499), ("warning", 503)]
    assert levels == [(line["log_level"], line["status"]) for line in lines]


def test_at_debug_every_request_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request_log = RequestLog(Metrics())

    with structlog.testing.capture_logs() as lines:
        request_log.answered("GET", "/a", 200, time.perf_counter())

    assert [(x["log_level"], x["route"], x["status"]) for x in lines] == [("debug", "/a", 200)]


def test_a_flood_of_refusals_is_not_written_down_one_by_one() -> None:
    request_log = RequestLog(Metrics())

    with structlog.testing.capture_logs() as lines:
        for _ in range(20 * MOST_LINES):
            request_log.answered("GET", "/a", 404, time.perf_counter())

    # The loop may run over the end of a second or two.
    assert MOST_LINES <= len(lines) < 20 * MOST_LINES
