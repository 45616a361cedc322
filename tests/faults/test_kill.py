"""kill -9 of the API and the worker at random points, on both pairs of stores.

`VOLANO_TEST_KILLS=30 ./dev test tests/faults` kills more often; `./dev bench faults` shows figures.
"""

import os
import random
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.faults.kills import Report, storm
from tests.faults.roles import Backend
from volano.schemas.services import ServiceNotInstalled

KILLS = int(os.environ.get("VOLANO_TEST_KILLS", "6"))
RUNS = max(1, KILLS // 6)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(600),  # six kills with a training under way take minutes on a busy machine
]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_what_was_acknowledged_is_there_once_however_often_processes_are_killed(
    backend: Backend, absent: Callable[[str], NoReturn]
) -> None:
    seed = random.randrange(2**31)
    try:
        report = storm(backend, kills=KILLS, runs=RUNS, seed=seed)
    except ServiceNotInstalled as error:
        absent(f"{error} {error.advice}")
    assert report.wrong == [], "\n".join([f"seed {seed}", *report.logs])
    assert (report.lost, report.doubled) == (0, 0), f"seed {seed}"
    assert report.acked > 0
    assert report.kills == KILLS
    assert _ended_runs(report) == RUNS


def _ended_runs(report: Report) -> int:
    return sum(report.runs.get(state, 0) for state in ("finished", "failed"))
