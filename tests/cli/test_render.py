"""Tests of volano.cli.render: values as text."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.cli import render
from volano.cli.render import Ink, Look, Node

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COLUMNS = {"NAME": lambda row: row[0], "COUNT": lambda row: row[1], "TEXT": lambda row: row[2]}


def test_a_table_aligns_numbers_to_the_right():
    text = render.table([("a", 1, "x"), ("long", 20, None)], COLUMNS, Look())

    assert text == "NAME  COUNT  TEXT\na         1  x\nlong     20  –"


def test_a_table_without_rows_is_its_header():
    assert render.table([], COLUMNS, Look()) == "NAME  COUNT  TEXT"


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(), st.text(max_size=200)), min_size=1))
def test_a_line_of_a_table_is_never_broken(rows):
    text = render.table(rows, COLUMNS, Look(width=60))

    assert 1 + len(rows) == len(text.split("\n"))
    assert all(c.isprintable() for c in text.replace("\n", ""))


def test_what_others_wrote_cannot_steer_the_terminal():
    text = render.card({"name": "\x1b[2Jgone\n", "ours": Ink(on=True)("red", "x")}, Look())

    assert text == "name  \\x1b[2Jgone\\n\nours  \x1b[31mx\x1b[0m"
    assert "\x1b" not in render.table([("\x1b[2J", 1, "")], COLUMNS, Look())


def test_long_texts_are_cut_but_not_what_is_copied():
    row = ("run_" + "0" * 32, 1, "a long text " * 9)
    line = render.table([row], COLUMNS, Look(width=60)).split("\n")[1]

    assert line.startswith(row[0])
    assert line.endswith("…")
    assert render.width(line) <= 60


def test_a_card_leaves_out_what_is_not_known():
    assert render.card({"id": "x", "gone": None, "took": ""}, Look()) == "id    x\ntook  –"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (True, "yes"),
        (0.94123456, "0.9412"),
        (1234567.0, "1234567"),
        (0.00001234, "1.234e-05"),
        (NOW, "2026-01-02T03:04:05+00:00"),
        (0.0005, "0.0005"),
        ({"train": 1, "rate": 0.05}, "train=1, rate=0.05"),
        (["a", "b"], "a, b"),
        ([], "–"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value, expected):
    assert expected == render.cell(value, Look())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min"),
        (45, "45 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86400 * 4, "4 d"),
    ],
)
def test_a_stretch_of_time_has_two_units_at_most(seconds, expected):
    assert expected == render.span(seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "just now"), (200, "3 min ago"), (-200, "in 3 min"), (86400 * 3, "3 d ago")],
)
def test_a_moment_is_told_as_seen_from_now(seconds, expected):
    assert expected == render.since(NOW - timedelta(seconds=seconds), NOW)


def test_a_tree_draws_its_branches():
    tree = Node("root", [Node("a", [Node("b")]), Node("c")])

    assert render.tree(tree, Ink()) == "root\n├─ a\n│  └─ b\n└─ c"


def test_colour_is_added_only_where_it_is_wanted():
    assert Ink()("red", "x") == "x"
    assert Ink(on=True)("red", "x") == "\x1b[31mx\x1b[0m"


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(1, 50))
def test_a_sparkline_has_a_block_for_each_run_of_values(values, wide):
    assert min(len(values), wide) == len(render.sparkline(values, wide))


def test_a_sparkline_goes_from_the_lowest_to_the_highest():
    assert render.sparkline([0, 1, 2, 3]) == "▁▃▆█"
    assert render.sparkline([5, 5, 5]) == "▁▁▁"
    assert render.sparkline([0, 0, 0, 1, 1, 1], 2) == "▁█"


@given(st.floats(allow_nan=False), st.integers(1, 60))
def test_a_bar_is_never_longer_than_its_field(fraction, wide):
    assert wide >= len(render.bar(fraction, wide))


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0, ""), (0.5, "██"), (1, "████"), (0.28125, "█▏")]
)
def test_a_bar_is_drawn_to_an_eighth_of_a_cell(fraction, expected):
    assert expected == render.bar(fraction, 4)


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_fits(text, wide):
    assert wide >= render.width(render.cut(text, wide))


def test_wide_characters_take_two_cells():
    assert render.width("한글") == 4
    assert render.cut("한글", 3) == "한…"
    assert render.pad("한글", 6) + "x" == "한글  x"


@pytest.mark.parametrize(
    ("count", "expected"), [(433, "433 B"), (912_345, "912.3 kB"), (2_000_000_000, "2.0 GB")]
)
def test_sizes_have_the_unit_that_fits(count, expected):
    assert expected == render.size(count)


@pytest.mark.parametrize(("count", "expected"), [(1, "1 drawing"), (2720, "2,720 drawings")])
def test_counts_agree_with_their_noun(count, expected):
    assert expected == render.plural(count, "drawing")
