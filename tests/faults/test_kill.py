"""kill -9 of the API and the worker at random points, on PostgreSQL and S3.

`VOLANO_TEST_KILLS=30 ./dev test tests/faults` kills more often, and `./dev bench faults` does so on
either pair of stores. What a kill leaves in SQLite is tested commit by commit in test_power_loss.
"""

import os
import random
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.faults.kills import Report, storm
from volano.schemas.services import ServiceNotInstalled

KILLS = int(os.environ.get("VOLANO_TEST_KILLS", "2"))
RUNS = max(1, KILLS // 6)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(200 * KILLS),  # each kill starts two servers again, and a run trains
]


def test_what_was_acknowledged_is_there_once_however_often_processes_are_killed(
    absent: Callable[[str], NoReturn],
) -> None:
    seed = random.randrange(2**31)
    try:
        report = storm("postgresql", kills=KILLS, runs=RUNS, seed=seed)
    except ServiceNotInstalled as error:
        absent(f"{error} {error.advice}")
    assert report.wrong == [], "\n".join([f"seed {seed}", *report.logs])
    assert report.lost == 0, f"seed {seed}"
    assert report.doubled == 0, f"seed {seed}"
    assert report.acked > 0
    assert report.kills == KILLS
    assert _ended_runs(report) == RUNS


def _ended_runs(report: Report) -> int:
    return sum(report.runs.get(state, 0) for state in ("finished", "failed"))
