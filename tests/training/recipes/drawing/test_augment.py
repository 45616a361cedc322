"""Augmented drawings are other drawings of the same thing, and the same ones for the same seed."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.drawings import SHAPES, drawn
from volano.data.formats.line_segments import MAX_SEGMENTS, segments
from volano.training.recipes.drawing.augment import Variation, augment

STILL = Variation().times(0)
MANY = 4000
"""Drawings whose spread is measured: it is then within 3 % of the stated one."""


def batch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cut = [segments(drawn(shape, rng)) for shape in SHAPES]
    whole = np.zeros((len(cut), MAX_SEGMENTS, 4), np.float32)
    for row, drawing in zip(whole, cut, strict=True):
        row[: len(drawing)] = drawing
    return whole, np.array([len(c) for c in cut])


@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_a_drawing_keeps_a_segment_and_its_size_however_much_it_is_varied(
    seed: int, strength: float
) -> None:
    whole, count = batch()
    found, left = augment(np.random.default_rng(seed), whole, count, Variation().times(strength))
    assert found.shape == whole.shape
    assert found.dtype == np.float32
    assert (left >= 1).all()
    assert (left <= count).all()
    for drawing, n in zip(found, left, strict=True):
        # Turned and stretched as far as three times the strength may.
        assert 1e-3 < np.abs(drawing[:n]).max() < 8


def of_unit_size(corners: list[tuple[float, float]]) -> np.ndarray:
    """MANY drawings of one line through these points, which augment puts at unit scale."""
    line = np.array(corners, np.float32) * 100
    return np.tile(np.concatenate([line[:-1], line[1:]], axis=1), (MANY, 1, 1))


BOX = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, 0.0), (0.0, 0.0), (0.25, 0.0)]
"""Its corners, a middle of a side and its centre are points of the grid that bends a drawing."""
CORNERS, CENTRE, BETWEEN = slice(0, 4), 5, 6


def redrawn(variation: Variation) -> np.ndarray:
    """The points (MANY, len(BOX), 2) of the box by this variation, at unit scale."""
    whole = of_unit_size(BOX)
    count = np.full(MANY, whole.shape[1])
    found, _ = augment(np.random.default_rng(3), whole, count, variation)
    return np.concatenate([found[:, :1, :2], found[:, :, 2:]], axis=1)


def matrices(variation: Variation) -> np.ndarray:
    """The matrix (MANY, 2, 2) that each drawing was multiplied by, fitted to its points."""
    return np.linalg.pinv(np.array(BOX)) @ redrawn(variation)


def assert_uniform(values: np.ndarray, most: float) -> None:
    """The values are spread evenly from -most to most."""
    assert np.abs(values).max() == pytest.approx(most, rel=0.01)
    assert np.abs(values).max() <= most + 1e-5
    assert values.std() == pytest.approx(most / sqrt(3), rel=0.03)
    assert values.mean() == pytest.approx(0, abs=0.05 * most)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_drawings_are_turned_by_up_to_the_stated_angle(strength: float) -> None:
    variation = replace(STILL, rotation=Variation().rotation).times(strength)
    found = matrices(variation)
    assert_uniform(np.arctan2(found[:, 0, 1], found[:, 0, 0]), 0.25 * strength)
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-4)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_each_side_is_stretched_by_up_to_the_stated_factor(strength: float) -> None:
    found = matrices(replace(STILL, scale=Variation().scale).times(strength))
    width, height = np.log(found[:, 0, 0]), np.log(found[:, 1, 1])
    assert_uniform(width, 0.2 * strength)
    assert_uniform(height, 0.2 * strength)
    assert abs(np.corrcoef(width, height)[0, 1]) < 0.05
    np.testing.assert_allclose(found[:, [0, 1], [1, 0]], 0, atol=1e-5)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_drawings_are_sheared_by_up_to_the_stated_amount(strength: float) -> None:
    found = matrices(replace(STILL, shear=Variation().shear).times(strength))
    assert_uniform(found[:, 1, 0], 0.2 * strength)
    np.testing.assert_allclose(found[:, [0, 0, 1], [0, 1, 1]], [[1, 0, 1]] * MANY, atol=1e-5)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_drawings_are_bent_by_the_stated_amount_and_smoothly(strength: float) -> None:
    bend = 0.035 * strength
    moved = redrawn(replace(STILL, bend=Variation().bend).times(strength)) - np.array(BOX)
    assert moved[:, CORNERS].std() == pytest.approx(bend, rel=0.03)
    assert moved[:, CENTRE].std() == pytest.approx(bend, rel=0.03)
    # Half way between two points of the grid it moves by the mean of what they do.
    assert moved[:, BETWEEN].std() == pytest.approx(bend / sqrt(2), rel=0.03)
    assert abs(np.corrcoef(moved[:, 0, 0], moved[:, 2, 0])[0, 1]) < 0.05


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_every_end_trembles_by_the_stated_amount(strength: float) -> None:
    moved = redrawn(replace(STILL, jitter=Variation().jitter).times(strength)) - np.array(BOX)
    assert moved.std(axis=(0, 2)) == pytest.approx(0.004 * strength, rel=0.04)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_a_stroke_is_put_and_formed_as_far_off_as_stated(strength: float) -> None:
    shifted = replace(STILL, stroke_shift=Variation().stroke_shift).times(strength)
    put = redrawn(shifted) - np.array(BOX)
    assert put.std(axis=0) == pytest.approx(0.03 * strength, rel=0.04)
    deformed = replace(STILL, stroke_form=Variation().stroke_form).times(strength)
    formed = matrices(deformed) - np.eye(2)
    assert formed.std(axis=0) == pytest.approx(0.1 * strength, rel=0.04)


def test_without_variation_a_drawing_only_moves_to_unit_scale() -> None:
    whole, count = batch()
    found, left = augment(np.random.default_rng(0), whole, count, STILL)
    assert left.tolist() == count.tolist()
    for drawing, before, n in zip(found, whole, count, strict=True):
        ends, ends_before = drawing[:n].reshape(-1, 2), before[:n].reshape(-1, 2)
        np.testing.assert_allclose(np.ptp(ends, 0).max(), 1, atol=1e-5)
        size = np.ptp(ends_before, 0).max()
        np.testing.assert_allclose(ends - ends[0], (ends_before - ends_before[0]) / size, atol=1e-5)


def test_the_same_seed_gives_the_same_drawings() -> None:
    first = augment(np.random.default_rng(5), *batch(), Variation())
    second = augment(np.random.default_rng(5), *batch(), Variation())
    other = augment(np.random.default_rng(6), *batch(), Variation())
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[0] - other[0]).max() > 0.01


def test_gaps_leave_out_about_their_share() -> None:
    whole = np.random.default_rng(0).uniform(0, 100, (400, 80, 4)).astype(np.float32)
    count = np.full(400, 80)
    _, left = augment(np.random.default_rng(0), whole, count, Variation(gaps=0.1))
    assert abs(1 - left.mean() / 80 - 0.1) < 0.02
    assert left.max() == 80


def test_what_stays_keeps_its_order_and_comes_first() -> None:
    line = np.array([(x, 0, x + 1, 0) for x in range(50)], np.float32)[None]
    steady = replace(STILL, gaps=0.4)
    found, left = augment(np.random.default_rng(1), line, np.array([50]), steady)
    assert (np.diff(found[0, : left[0], 0]) > 0).all()


def test_strokes_slip_as_a_whole_and_apart_from_each_other() -> None:
    across = [(x, 0, x + 1, 0) for x in range(50)]
    down = [(80, y, 80, y + 1) for y in range(50)]
    whole = np.array([across + down], np.float32)
    shifted = replace(STILL, stroke_shift=0.1)
    found, _ = augment(np.random.default_rng(1), whole, np.array([100]), shifted)
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
    variation = replace(STILL, reversal=0.3)
    found, _ = augment(np.random.default_rng(1), *two_strokes(), variation)
    still, _ = augment(np.random.default_rng(1), *two_strokes(), STILL)
    for stroke in (slice(0, 5), slice(5, 10)):
        back = np.isclose(found[:, stroke], still[:, stroke][:, ::-1, [2, 3, 0, 1]]).all((1, 2))
        same = np.isclose(found[:, stroke], still[:, stroke]).all((1, 2))
        assert (back ^ same).all()
        assert abs(back.mean() - 0.3) < 0.1


def test_strokes_change_places_as_a_whole() -> None:
    variation = replace(STILL, stroke_order=1.0)
    found, _ = augment(np.random.default_rng(1), *two_strokes(), variation)
    still, _ = augment(np.random.default_rng(1), *two_strokes(), STILL)
    swapped = np.isclose(found[:, :10], np.roll(still[:, :10], 5, axis=1)).all((1, 2))
    same = np.isclose(found[:, :10], still[:, :10]).all((1, 2))
    assert (swapped ^ same).all()
    assert 0.1 < swapped.mean() < 0.4
