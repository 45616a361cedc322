"""Tests of volano.cli.render: values as text."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
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


ROWS = st.tuples(
    st.text(min_size=1, max_size=4), st.integers(-(10**9), 10**9), st.text(min_size=1, max_size=200)
)


@given(st.lists(ROWS, min_size=1))
def test_a_line_of_a_table_is_never_broken_nor_too_long(rows):
    text = render.table(rows, COLUMNS, Look(width=60))
    assert all(render.width(line) <= 60 for line in text.split("\n"))

    assert len(text.split("\n")) == 1 + len(rows)
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


def test_a_column_without_anything_is_left_out_on_a_terminal():
    rows = [("a", 0, None), ("b", 0, "")]

    assert render.table(rows, COLUMNS, Look(width=60)) == "NAME  COUNT\na         0\nb         0"
    assert "TEXT" in render.table(rows, COLUMNS, Look())


def test_rows_that_fit_no_line_are_cards():
    text = render.table([("run_" + "0" * 32, 1, "text"), ("b", 2, None)], COLUMNS, Look(width=40))

    assert text == f"NAME   run_{'0' * 32}\nCOUNT  1\nTEXT   text\n\nNAME   b\nCOUNT  2"


def test_a_long_value_of_a_card_goes_on_below_itself():
    facts = {"id": "x" * 30, "params": {"size": 32, "width": 16, "rate": 0.5}}

    assert render.card(facts, Look(width=25)) == (
        f"id      {'x' * 30}\nparams  size=32,\n        width=16,\n        rate=0.5"
    )
    assert render.card(facts, Look()).count("\n") == 1


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
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ({"train": 1, "rate": 0.05}, "train=1, rate=0.05"),
        (["a", "b"], "a, b"),
        ([], "–"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value, expected):
    assert render.cell(value, Look()) == expected


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
    assert render.span(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "just now"), (200, "3 min ago"), (-200, "in 3 min"), (86400 * 3, "3 d ago")],
)
def test_a_moment_is_told_as_seen_from_now(seconds, expected):
    assert render.since(NOW - timedelta(seconds=seconds), NOW) == expected


def test_a_tree_draws_its_branches():
    tree = Node("root", [Node("a", [Node("b")]), Node("c")])

    assert render.tree(tree, Look()) == "root\n├─ a\n│  └─ b\n└─ c"


def test_a_tree_shows_a_detail_where_there_is_room():
    red = Ink(on=True)("red", "root")
    tree = Node(red, [Node("abc", detail="def"), Node("abcd", detail="def")], detail="it")

    assert render.tree(tree, Look(width=11)) == f"{red}  it\n├─ abc  def\n└─ abcd"


def test_colour_is_added_only_where_it_is_wanted():
    assert Ink()("red", "x") == "x"
    assert Ink(on=True)("red", "x") == "\x1b[31mx\x1b[0m"


BLOCKS = "▁▂▃▄▅▆▇█"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
@example([0, 1e-308])
@example([0, 5e-324])
@example([-1.7e308, 1.7e308])
def test_a_sparkline_is_as_high_as_its_values(values):
    heights = [BLOCKS.index(block) for block in render.sparkline(values, 50)]

    assert len(heights) == len(values)
    assert [heights[n] for n in sorted(range(len(values)), key=values.__getitem__)] == (
        sorted(heights)
    )
    assert heights[values.index(min(values))] == 0
    if max(values) - min(values) > 1e-300:
        assert heights[values.index(max(values))] == 7


@given(st.lists(NUMBERS, min_size=1, max_size=200), st.integers(1, 50))
def test_a_long_sparkline_has_a_block_for_each_run_of_values(values, wide):
    assert len(render.sparkline(values, wide)) == min(len(values), wide)


def test_what_is_no_number_is_a_cross_in_a_sparkline():
    assert render.sparkline([0, math.nan, 1, math.inf]) == "▁×█×"
    assert render.sparkline([0, 0, math.nan, 1], 2) == "▁█"
    assert render.sparkline([math.nan]) == "×"
    assert render.sparkline([]) == ""


def test_a_sparkline_goes_from_the_lowest_to_the_highest():
    assert render.sparkline([0, 1, 2, 3]) == "▁▃▆█"
    assert render.sparkline([5, 5, 5]) == "▁▁▁"
    assert render.sparkline([0, 0, 0, 1, 1, 1], 2) == "▁█"


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share_of_the_field(fraction, wide):
    drawn = render.bar(fraction, wide)
    eighths = 8 * drawn.count("█") + sum(" ▏▎▍▌▋▊▉".index(cell) for cell in drawn if cell != "█")

    assert abs(eighths - fraction * wide * 8) <= 0.5
    assert set(drawn[:-1]) <= {"█"}, "only the end is a part of a cell"


@pytest.mark.parametrize(("fraction", "expected"), [(-1, ""), (1.5, "████"), (1e300, "████")])
def test_a_bar_stays_in_its_field(fraction, expected):
    assert render.bar(fraction, 4) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0, ""), (0.5, "██"), (1, "████"), (0.28125, "█▏")]
)
def test_a_bar_is_drawn_to_an_eighth_of_a_cell(fraction, expected):
    assert render.bar(fraction, 4) == expected


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_fits(text, wide):
    assert render.width(render.cut(text, wide)) <= wide


def test_wide_characters_take_two_cells():
    assert render.width("한글") == 4
    assert render.cut("한글", 3) == "한…"
    assert render.pad("한글", 6) + "x" == "한글  x"


@pytest.mark.parametrize(
    ("count", "expected"), [(433, "433 B"), (912_345, "912.3 kB"), (2_000_000_000, "2.0 GB")]
)
def test_sizes_have_the_unit_that_fits(count, expected):
    assert render.size(count) == expected


@pytest.mark.parametrize(("count", "expected"), [(1, "1 drawing"), (2720, "2,720 drawings")])
def test_counts_agree_with_their_noun(count, expected):
    assert render.plural(count, "drawing") == expected
