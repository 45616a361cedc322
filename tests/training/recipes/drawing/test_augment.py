"""Augmented drawings are other drawings of the same thing, and the same ones for the same seed."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.training.drawings import SHAPES, drawn
from volano.data.formats.line_segments import MAX_SEGMENTS, segments
from volano.training.recipes.drawing.augment import Hand, augment

STILL = Hand().times(0)


def batch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cut = [segments(drawn(shape, rng)) for shape in SHAPES]
    whole = np.zeros((len(cut), MAX_SEGMENTS, 4), np.float32)
    for row, drawing in zip(whole, cut, strict=True):
        row[: len(drawing)] = drawing
    return whole, np.array([len(c) for c in cut])


@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_every_drawing_stays_finite_and_keeps_a_segment(seed: int, strength: float) -> None:
    whole, count = batch()
    found, left = augment(np.random.default_rng(seed), whole, count, Hand().times(strength))
    assert found.shape == whole.shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert ((left >= 1) & (left <= count)).all()


def test_a_still_hand_only_moves_the_drawing_to_unit_scale() -> None:
    whole, count = batch()
    found, left = augment(np.random.default_rng(0), whole, count, STILL)
    assert left.tolist() == count.tolist()
    for drawing, before, n in zip(found, whole, count, strict=True):
        ends, ends_before = drawing[:n].reshape(-1, 2), before[:n].reshape(-1, 2)
        np.testing.assert_allclose(np.ptp(ends, 0).max(), 1, atol=1e-5)
        size = np.ptp(ends_before, 0).max()
        np.testing.assert_allclose(ends - ends[0], (ends_before - ends_before[0]) / size, atol=1e-5)


def test_the_same_seed_gives_the_same_drawings() -> None:
    first = augment(np.random.default_rng(5), *batch(), Hand())
    second = augment(np.random.default_rng(5), *batch(), Hand())
    other = augment(np.random.default_rng(6), *batch(), Hand())
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[0] - other[0]).max() > 0.01


def test_gaps_leave_out_about_their_share() -> None:
    whole = np.random.default_rng(0).uniform(0, 100, (400, 80, 4)).astype(np.float32)
    count = np.full(400, 80)
    _, left = augment(np.random.default_rng(0), whole, count, Hand(gaps=0.1))
    assert abs(1 - left.mean() / 80 - 0.1) < 0.02
    assert left.max() == 80


def test_what_stays_keeps_its_order_and_comes_first() -> None:
    line = np.array([(x, 0, x + 1, 0) for x in range(50)], np.float32)[None]
    steady = dataclasses.replace(STILL, gaps=0.4)
    found, left = augment(np.random.default_rng(1), line, np.array([50]), steady)
    assert (np.diff(found[0, : left[0], 0]) > 0).all()


def test_strokes_slip_as_a_whole_and_apart_from_each_other() -> None:
    across = [(x, 0, x + 1, 0) for x in range(50)]
    down = [(80, y, 80, y + 1) for y in range(50)]
    whole = np.array([across + down], np.float32)
    slippery = dataclasses.replace(STILL, slip=0.1)
    found, _ = augment(np.random.default_rng(1), whole, np.array([100]), slippery)
    moved = (found - augment(np.random.default_rng(1), whole, np.array([100]), STILL)[0])[0]
    np.testing.assert_allclose(moved[:50], np.tile(moved[0], (50, 1)), atol=1e-5)
    np.testing.assert_allclose(moved[50:], np.tile(moved[50], (50, 1)), atol=1e-5)
    assert np.abs(moved[0] - moved[50]).max() > 0.01


def two_strokes() -> tuple[np.ndarray, np.ndarray]:
    """Many drawings of a line across, then a line down."""
    across = [(x, 0, x + 1, 0) for x in range(5)]
    down = [(8, y, 8, y + 1) for y in range(5)]
    return np.array([across + down + [(0, 0, 0, 0)] * 3] * 200, np.float32), np.full(200, 10)


def test_strokes_are_drawn_from_their_other_end_as_often_as_told() -> None:
    hand = dataclasses.replace(STILL, reversal=0.3)
    found, _ = augment(np.random.default_rng(1), *two_strokes(), hand)
    still, _ = augment(np.random.default_rng(1), *two_strokes(), STILL)
    for stroke in (slice(0, 5), slice(5, 10)):
        back = np.isclose(found[:, stroke], still[:, stroke][:, ::-1, [2, 3, 0, 1]]).all((1, 2))
        same = np.isclose(found[:, stroke], still[:, stroke]).all((1, 2))
        assert (back ^ same).all()
        assert abs(back.mean() - 0.3) < 0.1


def test_strokes_change_places_as_a_whole() -> None:
    hand = dataclasses.replace(STILL, order=1.0)
    found, _ = augment(np.random.default_rng(1), *two_strokes(), hand)
    still, _ = augment(np.random.default_rng(1), *two_strokes(), STILL)
    swapped = np.isclose(found[:, :10], np.roll(still[:, :10], 5, axis=1)).all((1, 2))
    same = np.isclose(found[:, :10], still[:, :10]).all((1, 2))
    assert (swapped ^ same).all()
    assert 0.1 < swapped.mean() < 0.4
