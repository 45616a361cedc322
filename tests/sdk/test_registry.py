"""Tests of volano.sdk.registry: following a run."""

from datetime import UTC, datetime

import msgspec

from tests.sdk.scripted import value
from volano.schemas.registry import Progress, Run

QUEUED = Run(
    id="run_1",
    kind="training",
    state="queued",
    model="drawing",
    recipe="drawing",
    snapshot="snap_1",
    params={},
    seed=0,
    seconds=60.0,
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    created_by="mem_1",
)


def test_a_run_is_seen_whenever_it_has_changed_until_it_is_over(script, client):
    halfway = msgspec.structs.replace(QUEUED, state="running", progress=Progress(done=1, total=2))
    over = msgspec.structs.replace(halfway, state="failed")
    script.on("GET", "/runs/run_1", *(value(r) for r in (QUEUED, QUEUED, halfway, halfway, over)))

    states = [run.state for run in client.runs.watch("run_1", every_s=0.001)]

    assert states == ["queued", "running", "failed"]
    assert len(script.seen) == 5


def test_a_run_that_is_over_is_asked_for_once(script, client):
    script.on("GET", "/runs/run_1", value(msgspec.structs.replace(QUEUED, state="cancelled")))

    assert [run.state for run in client.runs.watch("run_1")] == ["cancelled"]
    assert len(script.seen) == 1


def test_what_is_not_given_is_left_to_the_server(script, client):
    script.on("POST", "/runs", value(QUEUED, 201))
    client.runs.create("snap_1", params={"learning_rate": 0.1})

    (sent,) = script.bodies("POST", "/runs")
    assert (
        sent["snapshot"],
        sent["params"],
        sent["model"],
    ) == ("snap_1", {"learning_rate": 0.1}, None)
