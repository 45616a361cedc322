"""Tests of volano.cli.braille: strokes as pictures."""

from hypothesis import given
from hypothesis import strategies as st

from volano.cli.braille import picture

COORDINATE = st.floats(-1e4, 1e4)
LINES = st.lists(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=20), max_size=5)


@given(LINES, st.integers(1, 40), st.integers(1, 20))
def test_every_picture_fits_and_shows_something(lines, wide, tall):
    rows = picture(lines, wide, tall).split("\n")

    assert tall >= len(rows)
    assert all(wide >= len(row) for row in rows)
    assert bool(lines) == any(c > "\u2800" for row in rows for c in row)
    assert all("\u2800" <= c <= "\u28ff" for row in rows for c in row)


def test_a_level_line_is_one_row_of_dots():
    assert picture([[(0, 0), (30, 0)]], wide=2, tall=2) == "⠉⠉"


def test_a_cross_is_a_cross():
    lines = [[(0, 0), (70, 70)], [(70, 0), (0, 70)]]

    assert picture(lines, wide=4, tall=2) == "⠑⢄⡠⠊\n⡠⠊⠑⢄"


def test_a_point_is_one_dot():
    assert picture([[(5, 5)]]) == "⠁"


def test_nothing_is_no_picture():
    assert picture([]) == ""
