"""Figures of several processes are one figure, and never more of them than there is room for."""

import multiprocessing
import os
import re
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volano.core.metrics import BOUNDS, MOST_SERIES, Metrics


def value(text: str, series: str) -> float:
    """The value of one line of an exposition."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, f"no {series} in:\n{text}"
    return float(found[1])


def test_a_counter_counts_by_its_labels() -> None:
    metrics = Metrics()
    drawings = metrics.counter("drawings_total", "Drawings kept", ("shape",))

    drawings.add("circle")
    drawings.add("circle", by=2)
    drawings.add('st"ar\n')

    text = metrics.exposition()
    assert value(text, 'drawings_total{shape="circle"}') == 3
    assert value(text, r'drawings_total{shape="st\"ar\n"}') == 1
    assert "# TYPE drawings_total counter\n" in text


def test_a_gauge_is_put_raised_and_lowered() -> None:
    metrics = Metrics()
    open_ = metrics.gauge("open", "Open things")

    open_.set(5)
    open_.add(by=-2)

    assert value(metrics.exposition(), "open") == 3


@given(st.lists(st.floats(min_value=0, max_value=10), max_size=50))
def test_a_histogram_counts_every_observation_in_its_bucket(observed: list[float]) -> None:
    metrics = Metrics()
    seconds = metrics.histogram("took_seconds", "Time", ("route",))
    seconds.observe(0.0, "/")
    for one in observed:
        seconds.observe(one, "/")

    text = metrics.exposition()
    seen = [0.0, *observed]
    assert len(seen) == value(text, 'took_seconds_count{route="/"}')
    assert pytest.approx(sum(seen)) == value(text, 'took_seconds_sum{route="/"}')
    assert len(seen) == value(text, 'took_seconds_bucket{route="/",le="+Inf"}')
    for bound in BOUNDS:
        below = sum(one <= bound for one in seen)
        assert value(text, f'took_seconds_bucket{{route="/",le="{bound:.6g}"}}') == below


def test_the_same_name_is_the_same_figure_and_of_one_kind() -> None:
    metrics = Metrics()
    first = metrics.counter("things_total", "Things")

    assert first is metrics.counter("things_total", "Things")
    with pytest.raises(TypeError, match="counter"):
        metrics.gauge("things_total", "Things")
    with pytest.raises(TypeError, match="labels"):
        metrics.counter("things_total", "Things", ("shape",))
    with pytest.raises(TypeError, match="labels"):
        first.add("circle")


def test_more_labels_than_there_is_room_for_are_counted_together() -> None:
    metrics = Metrics()
    things = metrics.counter("things_total", "Things", ("id",))

    for number in range(MOST_SERIES + 100):
        things.add(str(number))

    text = metrics.exposition()
    assert value(text, 'things_total{id="other"}') == 100
    assert text.count("\nthings_total{") == MOST_SERIES + 1


def test_a_full_file_drops_new_series_and_keeps_the_old_ones() -> None:
    metrics = Metrics()
    first = metrics.counter("first_total", "First")
    first.add()

    for number in range(3000):
        metrics.histogram(f"h{number}_seconds", "Many").observe(1.0)
    first.add()

    text = metrics.exposition()
    assert value(text, "first_total") == 2
    assert value(text, "h0_seconds_count") == 1
    assert "h2999" not in text


def _count(folder: Path, times: int, die: bool = False) -> None:
    metrics = Metrics(folder)
    done = metrics.counter("done_total", "Done", ("kind",))
    metrics.gauge("level", "Level").set(times)
    metrics.histogram("took_seconds", "Time").observe(0.1)
    for _ in range(times):
        done.add("x")
    if die:
        os.kill(os.getpid(), signal.SIGKILL)


def _in_process(folder: Path, times: int, die: bool = False) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_count, args=(folder, times, die))
    process.start()
    process.join()
    process.close()


def test_the_figures_of_all_processes_are_added(tmp_path: Path) -> None:
    here = Metrics(tmp_path)
    here.counter("done_total", "Done", ("kind",)).add("x", by=100)
    here.gauge("level", "Level").set(7)
    there = Metrics(tmp_path)
    there.gauge("level", "Level").set(4)

    _in_process(tmp_path, 10)

    text = here.exposition()
    assert (
        110
        == value(text, 'done_total{kind="x"}')
        == value(there.exposition(), 'done_total{kind="x"}')
    )
    assert value(text, "took_seconds_count") == 1
    # The level of the process that has ended went with it.
    assert value(text, "level") == 11
    here.close()
    there.close()


@pytest.mark.faults
def test_counts_outlive_a_killed_process_and_its_file_is_used_again(tmp_path: Path) -> None:
    for _ in range(3):
        _in_process(tmp_path, 5, die=True)

    here = Metrics(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["0.cells"]
    assert value(here.exposition(), 'done_total{kind="x"}') == 15
    assert value(here.exposition(), "level") == 0
    here.close()


def test_a_file_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "0.cells").write_bytes(b"something else" * 1000)

    here = Metrics(tmp_path)
    here.counter("done_total", "Done").add()

    assert value(here.exposition(), "done_total") == 1
    here.close()


def test_an_upgrade_that_changes_a_figure_begins_it_anew(tmp_path: Path) -> None:
    before = Metrics(tmp_path)
    before.counter("done_total", "Done", ("kind",)).add("x", by=3)
    before.counter("level", "Level").add(by=5)
    before.counter("kept_total", "Kept").add(by=2)
    before.close()

    after = Metrics(tmp_path)
    after.counter("done_total", "Done", ("kind", "shape")).add("x", "circle")
    after.gauge("level", "Level").set(7)
    after.counter("kept_total", "Kept").add()

    text = after.exposition()
    assert value(text, 'done_total{kind="x",shape="circle"}') == 1
    assert 'done_total{kind="x"}' not in text
    assert value(text, "level") == 7
    assert text.count("# TYPE level ") == 1
    assert value(text, "kept_total") == 3
    after.close()


def test_a_figure_that_nobody_counts_any_more_is_still_shown(tmp_path: Path) -> None:
    before = Metrics(tmp_path)
    before.counter("old_total", "Old").add(by=3)
    before.close()

    after = Metrics(tmp_path)

    assert value(after.exposition(), "old_total") == 3
    after.close()


@pytest.mark.faults
def test_a_file_that_was_only_begun_does_not_hide_the_others(tmp_path: Path) -> None:
    here = Metrics(tmp_path)
    here.counter("done_total", "Done").add()

    (tmp_path / "7.cells").touch()

    assert value(here.exposition(), "done_total") == 1
    here.close()


@given(st.lists(st.lists(st.floats(min_value=0, max_value=4), max_size=9), min_size=1, max_size=4))
@settings(max_examples=25)
def test_histograms_of_processes_merge_as_if_one_had_seen_all(parts: list[list[float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        processes = [Metrics(Path(folder)) for _ in parts]
        alone = Metrics()
        for metrics, seen in zip(processes, parts, strict=True):
            for one in seen:
                for each in (metrics, alone):
                    each.histogram("took_seconds", "Time", ("route",)).observe(one, "/")
        together = [metrics.exposition() for metrics in processes]
        for metrics in processes:
            metrics.close()

    wanted = alone.exposition().splitlines()
    for text in together:
        for line, other in zip(text.splitlines(), wanted, strict=True):
            if "_sum" in line:  # the order of additions may show in the last digit
                assert float(line.split()[-1]) == pytest.approx(float(other.split()[-1]))
            else:
                assert other == line
