"""Segments carry the shape of a drawing and nothing of how it was recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.data.formats import line_segments as form
from volano.data.formats.line_segments import segments
from volano.data.formats.strokes import Strokes


def drawing(*lines: list[tuple[float, float]]) -> Strokes:
    xy = np.array([point for line in lines for point in line], np.float32)
    starts = np.cumsum([0, *(len(line) for line in lines)]).astype(np.int32)
    t = np.arange(len(xy), dtype=np.int64)
    return Strokes(xy=xy, t=t, starts=starts, width=500, height=500)


def test_a_line_is_cut_into_equal_pieces() -> None:
    found = segments(drawing([(0, 0), (1, 0), (100, 0)]), tolerance=1 / 4)
    assert found.tolist() == [[0, 0, 25, 0], [25, 0, 50, 0], [50, 0, 75, 0], [75, 0, 100, 0]]
    assert found.dtype == np.float32


def test_strokes_are_not_joined() -> None:
    found = segments(drawing([(0, 0), (10, 0)], [(10, 10), (0, 10)]), tolerance=1)
    assert found.tolist() == [[0, 0, 10, 0], [10, 10, 0, 10]]


def test_a_dot_is_a_segment_of_no_length() -> None:
    found = segments(drawing([(0, 0), (100, 0)], [(50, 30)], [(7, 7), (7, 7)]), tolerance=1)
    assert found.tolist() == [[0, 0, 100, 0], [50, 30, 50, 30], [7, 7, 7, 7]]


def test_a_drawing_that_is_one_dot_has_one_segment() -> None:
    assert segments(drawing([(3, 4)])).tolist() == [[3, 4, 3, 4]]


def test_how_densely_a_line_was_recorded_leaves_no_trace() -> None:
    coarse = [(0.0, 0.0), (300.0, 40.0)]
    fine = [(300 * s, 40 * s) for s in np.linspace(0, 1, 200) ** 2]
    np.testing.assert_allclose(segments(drawing(coarse)), segments(drawing(fine)), atol=1e-3)


def test_the_shortest_strokes_go_when_there_are_too_many() -> None:
    lines = [[(0.0, y), (x, y)] for y, x in enumerate([5.0, 90.0, 4.0, 80.0, 70.0])]
    found = segments(drawing(*lines), max_segments=3)
    assert found[:, 2].tolist() == [90, 80, 70]


@pytest.mark.parametrize("limit", [2, 8, form.MAX_SEGMENTS])
@given(data=st.data())
def test_the_limit_holds_and_the_ends_of_every_stroke_stay(limit: int, data: st.DataObject) -> None:
    side = st.floats(0, 500, width=32, allow_subnormal=False)
    lines = data.draw(
        st.lists(st.lists(st.tuples(side, side), min_size=1, max_size=30), min_size=1, max_size=12)
    )
    found = segments(drawing(*lines), max_segments=limit)
    assert 1 <= len(found) <= limit
    assert np.isfinite(found).all()
    if len(lines) <= limit:
        # Not to the last bit: moves of 1e-20 px are lost beside a way of some px.
        for line in lines:
            assert np.abs(found[:, :2] - np.float32(line[0])).max(axis=1).min() < 1e-3
            assert np.abs(found[:, 2:] - np.float32(line[-1])).max(axis=1).min() < 1e-3


def test_as_many_strokes_as_there_may_be_segments_are_all_kept() -> None:
    lines = [[(0.0, y), (x, y)] for y, x in enumerate([5.0, 90.0, 4.0])]
    found = segments(drawing(*lines), max_segments=3)
    assert found[:, 2].tolist() == [5, 90, 4]


def test_moves_too_short_for_the_way_beside_them_change_nothing() -> None:
    found = segments(drawing([(0.0, 0.0), (1e-20, 0.0), (100.0, 0.0)]), tolerance=1)
    np.testing.assert_allclose(found, [[0, 0, 100, 0]], atol=1e-3)


@given(st.floats(0.1, 1), st.integers(0, 400))
def test_place_and_scale_only_move_the_segments(scale: float, shift: int) -> None:
    line = [(0.0, 0.0), (100.0, 0.0), (100.0, 50.0), (20.0, 80.0)]
    moved = [(x * scale + shift, y * scale + shift) for x, y in line]
    np.testing.assert_allclose(
        segments(drawing(moved)), segments(drawing(line)) * scale + shift, atol=1e-2
    )
