"""A drawing between two others lies between them, and only where they are of one build."""

from itertools import pairwise

import numpy as np

from tests.training.drawings import SHAPES, drawn
from volano.data.formats.segments import MAX_SEGMENTS, segments
from volano.training.augment import begins, unit
from volano.training.morph import AWAY, Kin, between

Batch = tuple[np.ndarray, np.ndarray]


def batch(cut: list[np.ndarray]) -> Batch:
    whole = np.zeros((len(cut), MAX_SEGMENTS, 4), np.float32)
    for row, drawing in zip(whole, cut, strict=True):
        row[: len(drawing)] = drawing
    return whole, np.array([len(c) for c in cut])


def shapes(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    return batch([segments(drawn(shape, rng)) for shape in SHAPES for _ in range(8)])


def still(drawings: Batch) -> np.ndarray:
    whole, count = drawings
    there = np.arange(whole.shape[1]) < count[:, None]
    return unit(whole, there) * there[..., None]


def line(pieces: int, height: float, *, back: bool = False) -> np.ndarray:
    """A bar down, then one across at `height`, in that many pieces."""
    at = np.linspace(0, 1, pieces + 1)
    down = [(0, a, 0, b) for a, b in pairwise(at)]
    at = at[::-1] if back else at
    across = [(a + 0.01, height, b + 0.01, height) for a, b in pairwise(at)]
    return np.array(down + across, np.float32)


def test_a_drawing_goes_to_the_other_and_a_little_away_from_it() -> None:
    many = 400
    one, other = batch([line(10, 0.5)] * many), batch([line(7, 0.7)] * many)
    found = between(np.random.default_rng(0), one, other, 0.5)
    heights = found[:, 10, 1] - found[:, 0, 1]
    # At unit scale, for the two bars' box is a hundredth wider than high.
    expected = np.array([0.5 - 0.5 * AWAY * 0.2, 0.5 + 0.5 * 0.2]) / 1.01
    np.testing.assert_allclose([heights.min(), heights.max()], expected, atol=0.003)


def test_the_end_from_which_a_stroke_was_drawn_does_not_matter() -> None:
    one = batch([line(10, 0.5)])
    same = between(np.random.default_rng(3), one, batch([line(7, 0.7)]), 0.5)
    back = between(np.random.default_rng(3), one, batch([line(7, 0.7, back=True)]), 0.5)
    np.testing.assert_allclose(back, same, atol=1e-6)


def test_drawings_of_another_build_stay_as_they_are() -> None:
    one, other = shapes(1), shapes(2)
    order = np.roll(np.arange(len(one[1])), 8)
    found = between(np.random.default_rng(0), one, (other[0][order], other[1][order]), 1.0)
    crosses = slice(24, 32)  # two strokes, beside shapes of one
    np.testing.assert_allclose(found[crosses], still(one)[crosses], atol=1e-6)


def test_nothing_moves_where_nothing_may() -> None:
    one = shapes(1)
    found = between(np.random.default_rng(0), one, shapes(2), 0.0)
    np.testing.assert_allclose(found, still(one), atol=1e-6)


def test_strokes_stay_whole() -> None:
    one = shapes(1)
    found = between(np.random.default_rng(0), one, shapes(2), 0.6)
    assert np.isfinite(found).all()
    assert np.abs(found - still(one)).max() > 0.01
    there = np.arange(MAX_SEGMENTS) < one[1][:, None]
    np.testing.assert_array_equal(begins(found) & there, begins(one[0]) & there)


def test_kin_are_of_the_same_class_and_all_of_them_come() -> None:
    truth = np.array([2, 0, 2, 1, 0, 2])
    rows = np.tile(np.arange(6), 100)
    chosen = Kin(truth).some(np.random.default_rng(0), rows)
    assert (truth[chosen] == truth[rows]).all()
    assert set(chosen[rows == 0]) == {0, 2, 5}
    assert set(chosen[rows == 3]) == {3}
