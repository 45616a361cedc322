"""The run reports, stops when it is told to, and refuses numbers that are none."""

import math
import signal
import threading
from pathlib import Path

import pytest

from volano.harness.events import decode, encode
from volano.harness.model import Run, RunCancelled, RunOutOfTime
from volano.harness.run import LocalRun
from volano.schemas.harness import (
    AnyEvent,
    ContractBroken,
    MetricNotFinite,
    Phase,
    Point,
    Points,
    Reached,
    Warned,
)


class Watched:
    """A run whose clock is moved by hand and whose events are kept."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.now = 0.0
        self.events: list[AnyEvent] = []
        self.run = LocalRun(
            data=Path("data"),
            artefact=Path("artefact"),
            seed=7,
            seconds=seconds,
            events=self.events.append,
            clock=lambda: self.now,
        )


def test_a_local_run_is_a_run():
    run: Run = Watched().run
    assert run.data == Path("data")
    assert run.artefact == Path("artefact")
    assert run.seed == 7
    assert run.seconds == 10.0


def test_points_carry_step_time_and_values():
    watched = Watched()
    watched.now = 1.5
    watched.run.log(3, loss=0.25, accuracy=1)
    (event,) = watched.events
    assert isinstance(event, Points)
    (point,) = event.points
    assert point.step == 3
    assert point.at_s == 1.5
    assert point.values == {"loss": 0.25, "accuracy": 1.0}


def test_array_scalars_are_numbers():
    numpy = pytest.importorskip("numpy")
    watched = Watched()
    watched.run.log(numpy.int64(3), loss=numpy.float32(0.5))
    point = Point(step=3, at_s=0.0, values={"loss": 0.5})
    assert [Points(at_s=0.0, points=[point])] == watched.events


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_metric_that_is_not_finite_stops_the_run(value: float):
    watched = Watched()
    with pytest.raises(MetricNotFinite, match="The metric 'loss' at step 4 is"):
        watched.run.log(4, loss=value)
    assert watched.events == []


def test_a_metric_that_is_no_number_stops_the_run():
    with pytest.raises(ContractBroken, match="'loss' is a dict, not a number"):
        Watched().run.log(0, loss={})  # type: ignore[arg-type] # the point of the test


@pytest.mark.parametrize("name", ["", "a\0b", "two\nlines", "\ud800", "x" * 201])
def test_a_metric_without_a_proper_name_stops_the_run(name: str):
    watched = Watched()
    with pytest.raises(ContractBroken, match="cannot be the name of a metric"):
        watched.run.log(1, **{name: 1.0})
    assert watched.events == []


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 10**30])
def test_a_step_that_could_not_be_stored_stops_the_run(step: int):
    with pytest.raises(ContractBroken, match="beyond 64 bits"):
        Watched().run.log(step, loss=1.0)


@pytest.mark.parametrize("name", ["loss", "accuracy@5", "Verlust (mittlerer)", "精度", "x" * 200])
@pytest.mark.parametrize("step", [0, -1, 2**63 - 1])
def test_other_names_and_steps_are_told_as_they_are(name: str, step: int):
    watched = Watched()
    watched.run.log(step, **{name: 1.0})
    (told,) = watched.events
    assert [Point(step=step, at_s=0.0, values={name: 1.0})] == decode(encode(told)).points


@pytest.mark.parametrize(
    ("done", "total", "told"),
    [(1, 2, (1.0, 2.0)), (3, 2, (3.0, 2.0)), (math.nan, 2, (0.0, 0.0)), (1, math.inf, (0.0, 0.0))],
)
def test_progress_that_is_not_finite_is_not_known(
    done: float, total: float, told: tuple[float, float]
):
    watched = Watched()
    watched.run.progress(done, total, "a\ud800b" + "x" * 900)
    (event,) = watched.events
    progress = decode(encode(event)).progress
    assert (progress.done, progress.total) == told
    assert progress.note == "a?b" + "x" * 497


def test_a_warning_is_told_once_and_cut_to_what_can_be_shown():
    watched = Watched()
    watched.now = 2.0
    for _ in range(3):
        watched.run.warn("a\ud800b" + "x" * 900)
    assert watched.events == [Warned(at_s=2.0, text="a?b" + "x" * 497)]


def test_a_loop_that_warns_of_each_step_is_heard_twenty_times():
    watched = Watched()
    for step in range(1000):
        watched.run.warn(f"step {step}")
    assert [event.text for event in watched.events if isinstance(event, Warned)] == [
        f"step {step}" for step in range(20)
    ]


def test_every_call_after_a_cancel_raises():
    run = Watched().run
    run.cancel()
    calls = (
        lambda: run.log(0, x=1),
        lambda: run.progress(1, 2),
        lambda: run.warn("few records"),
        run.seconds_left,
    )
    for call in calls:
        with pytest.raises(RunCancelled):
            call()


def test_reports_after_the_time_raise_but_the_time_can_be_asked():
    watched = Watched(seconds=2.0)
    watched.now = 1.5
    assert watched.run.seconds_left() == 0.5
    watched.now = 3.0
    assert watched.run.seconds_left() == 0.0
    with pytest.raises(RunOutOfTime, match="The 2 s allowed for the run are used up"):
        watched.run.progress(1, 2)


def test_a_run_may_report_until_the_very_end_of_its_time():
    watched = Watched(seconds=2.0)
    watched.now = 1.999
    watched.run.progress(1, 2)
    watched.now = 2.0
    with pytest.raises(RunOutOfTime):
        watched.run.log(1, loss=0.5)


def test_the_alarm_is_set_to_the_seconds_that_are_left():
    watched = Watched(seconds=3600.0)
    watched.now = 600.0
    with watched.run.alarm():
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 2900 < left <= 3000
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_phase_is_told_measured_and_flushed():
    watched = Watched()
    with watched.run.phase("train"):
        for step in range(100):
            watched.run.progress(step, 100)
        watched.now = 4.0
    assert Phase(at_s=0.0, name="train") == watched.events[0]
    last = watched.events[-1]
    assert isinstance(last, Reached)
    assert last.progress.done == 99
    assert watched.run.phases == {"train": 4.0}


def test_points_from_many_threads_are_all_kept():
    watched = Watched()

    def report(worker: int) -> None:
        for step in range(500):
            watched.run.log(step, **{f"loss_{worker}": 1.0})

    with watched.run.phase("train"):
        threads = [threading.Thread(target=report, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    points = [p for e in watched.events if isinstance(e, Points) for p in e.points]
    assert len(points) == 2000


def test_the_alarm_breaks_a_loop_that_never_reports(tmp_path: Path):
    run = LocalRun(data=tmp_path, artefact=tmp_path, seconds=0.05, events=lambda event: None)

    def spin() -> None:
        while True:
            pass

    with pytest.raises(RunOutOfTime), run.alarm():
        spin()


def test_outside_the_main_thread_there_is_no_alarm_and_no_error(tmp_path: Path):
    run = LocalRun(data=tmp_path, artefact=tmp_path, seconds=0.05, events=lambda event: None)
    passed = threading.Event()

    def work() -> None:
        with run.alarm():
            passed.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed.is_set()
