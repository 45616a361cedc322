"""Numbers as people read them lose no more than their last digit."""

import math
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.cli.canned import QUEUED
from volano.cli import render, run_card

UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
SPANS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds_of(text: str) -> float:
    """What `2 h 5 min` says, s."""
    words = text.split(" ")
    return sum(float(n) * SPANS[unit] for n, unit in zip(words[::2], words[1::2], strict=True))


@given(st.floats(0, 1e15) | st.integers(0, 10**15))
def test_a_size_has_at_most_three_digits_before_its_point(count: float):
    number, unit = render.size(count).split(" ")

    assert float(number) < 1000 or unit == "TB"
    assert float(number) * UNITS[unit] == pytest.approx(count, rel=0.051, abs=0.5)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (433, "433 B"),
        (999, "999 B"),
        (999.7, "1.0 kB"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1.2e6, "1.2 MB"),
        (5e14, "500.0 TB"),
    ],
)
def test_sizes_at_the_edges_of_their_units(count: float, text: str):
    assert render.size(count) == text


@given(st.floats(0, 1e8))
def test_a_span_says_how_long_to_its_smallest_unit(seconds: float):
    text = render.span(seconds)

    slack = {"s": 0.51, "min": 31, "h": 1801, "d": 86_400}[text.split(" ")[-1]]
    assert abs(seconds_of(text) - seconds) <= max(slack, 60 if "h" in text else 0)
    assert not {"60 s", "60 min"} & {text, " ".join(text.split(" ")[-2:])}


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_what_takes_longer_never_reads_shorter(one: float, other: float):
    short, long = sorted((one, other))
    assert seconds_of(render.span(short)) <= seconds_of(render.span(long))


@given(st.floats(-1e14, 1e14))
def test_a_figure_keeps_four_digits(number: float):
    assume(abs(number) >= 1e-4 or number == 0)
    text = render.figure(number)

    assert float(text) == pytest.approx(number, rel=5e-4, abs=5e-5)
    assert number != int(number) or "." not in text


@given(st.floats(-0.5, 1.5), st.integers(1, 80))
def test_a_bar_is_as_long_as_its_fraction_and_never_longer_than_its_place(
    fraction: float, wide: int
):
    text = render.bar(fraction, wide)

    assert render.width(text) <= wide
    assert abs(text.count("█") - max(0.0, min(1.0, fraction)) * wide) <= 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 60))
def test_a_sparkline_has_one_block_a_value_and_no_more_than_its_place(
    values: list[float], wide: int
):
    text = render.sparkline(values, wide)

    assert min(wide, len(values)) == len(text)
    if len(values) <= wide:
        assert text[values.index(max(values))] == max(text)
        assert text[values.index(min(values))] == min(text)


@given(st.text(max_size=60), st.integers(1, 30))
def test_a_cut_text_fits_and_begins_as_it_was(text: str, wide: int):
    cut = render.cut(text, wide)

    assert render.width(cut) <= wide
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


@given(st.text(max_size=60))
def test_a_visible_text_is_one_printable_line(text: str):
    shown = render.visible(text)

    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.integers(-(10**8), 10**8))
def test_a_moment_says_whether_it_has_passed(seconds: int):
    now = datetime(2026, 11, 21, tzinfo=UTC)
    text = render.since(now - timedelta(seconds=seconds), now)

    if abs(seconds) < 2:
        assert text == "just now"
    else:
        assert text.endswith(" ago") == (seconds > 0)
        assert text.startswith("in ") == (seconds < 0)
        told = seconds_of(text.removeprefix("in ").removesuffix(" ago"))
        assert math.isclose(told, abs(seconds), rel_tol=0.51)


@pytest.mark.parametrize(("seconds", "shown"), [(3600.0, False), (20.0, True)])
def test_a_run_shows_one_time_that_it_is_allowed(seconds: float, shown: bool):
    run = msgspec.structs.replace(QUEUED, seconds=40.0, params={"seconds": seconds, "width": 8})

    card = run_card.view(run, render.Look())

    assert re.search(r"^allowed +40 s", card, re.MULTILINE)
    assert ("seconds" in card) == shown
    assert "width" in card


def test_the_error_of_calibration_is_named_in_words():
    card = run_card.figures({"ece_before": 0.21, "ece_after": 0.02, "accuracy": 0.9}, render.Look())

    assert re.search(r"^calibration error before +0\.21", card, re.MULTILINE)
    assert re.search(r"^calibration error after +0\.02", card, re.MULTILINE)
    assert "ece" not in card
