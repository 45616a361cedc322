"""The picture of a drawing: the formula against a loop, and what it must not see."""

import numpy as np
import pytest

from tests.training.drawings import SHAPES, drawn, omniglot_drawings
from volano.data.formats.line_segments import segments


def picture(size_px: int, drawing: np.ndarray, padding: int = 0) -> np.ndarray:
    # Here, not above: torch takes seconds to import, and collecting tests should not.
    import torch

    from volano.training.recipes.drawing.raster import Raster, normalised

    padded = np.concatenate([drawing, np.zeros((padding, 4), np.float32)])
    mask = (torch.arange(len(padded)) < len(drawing))[None]
    ends = normalised(torch.from_numpy(padded[None]), mask)
    return Raster(size_px)(ends, mask)[0].numpy()


def picture_by_loop(size_px: int, drawing: np.ndarray) -> np.ndarray:
    """The same picture dot by dot in float64, as the module's docstring tells it."""
    from volano.training.recipes.drawing.raster import CHANNELS, DOTS, FILL, SPREAD_PX

    ends = drawing.astype(np.float64).reshape(-1, 2, 2)
    low, high = ends.min((0, 1)), ends.max((0, 1))
    scale = FILL * size_px / max((high - low).max(), 1e-3)
    ends = (ends - (low + high) / 2) * scale + size_px / 2
    spread = SPREAD_PX * size_px / 32
    y, x = np.mgrid[:size_px, :size_px] + 0.5
    found = np.zeros((CHANNELS, size_px, size_px))
    for begin, end in ends:
        vector = end - begin
        length = np.sqrt((vector**2).sum() + 1e-6)
        cos, sin = vector / length
        directions = np.array([1, cos, sin, cos**2 - sin**2, 2 * cos * sin])
        for k in range(DOTS):
            dot = begin + vector * (k + 0.5) / DOTS
            blob = np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * spread**2))
            found += directions[:, None, None] * blob * max(length, 0.5) / DOTS / (2.5 * spread)
    return found


@pytest.mark.parametrize("size_px", [32, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_picture_is_the_sum_of_its_dots(shape: str, size_px: int) -> None:
    drawing = segments(drawn(shape, np.random.default_rng(1)))
    expected = picture_by_loop(size_px, drawing)
    np.testing.assert_allclose(picture(size_px, drawing), expected, atol=1e-4)


def test_real_drawings_are_pictured_as_by_the_loop(shared_data) -> None:
    for drawing in omniglot_drawings(shared_data("strokes-omniglot-small1"), each=90):
        cut = segments(drawing)
        np.testing.assert_allclose(picture(32, cut), picture_by_loop(32, cut), atol=1e-4)


def test_padding_leaves_no_trace() -> None:
    drawing = segments(drawn("star", np.random.default_rng(2)))
    np.testing.assert_allclose(picture(32, drawing, padding=40), picture(32, drawing), atol=1e-6)


def test_place_and_scale_leave_no_trace() -> None:
    drawing = segments(drawn("cross", np.random.default_rng(3)))
    moved = (drawing * 3.7 - 250).astype(np.float32)
    np.testing.assert_allclose(picture(32, moved), picture(32, drawing), atol=1e-4)


def test_a_line_has_ink_near_one_along_its_middle() -> None:
    drawing = np.array([(x, 5, x + 1, 5) for x in range(32)], np.float32)
    ink = picture(32, drawing)[0]
    middle = ink[15:17, 8:24]
    assert middle.min() > 0.6
    assert middle.max() < 1.05
    assert ink[:12].max() < 1e-4


@pytest.mark.parametrize("drawing", [np.zeros((0, 4)), np.zeros((1, 4)), np.full((3, 4), 9.0)])
def test_no_segments_and_dots_give_finite_pictures(drawing: np.ndarray) -> None:
    found = picture(32, drawing.astype(np.float32), padding=2)
    assert np.isfinite(found).all()
    assert (found[0].max() > 0.1) == bool(len(drawing))


def test_direction_is_told_apart() -> None:
    right = np.array([(x, 0, x + 1, 0) for x in range(20)], np.float32)
    left = right[:, [2, 3, 0, 1]]
    np.testing.assert_allclose(picture(32, left)[0], picture(32, right)[0], atol=1e-4)
    np.testing.assert_allclose(picture(32, left)[1], -picture(32, right)[1], atol=1e-4)
    np.testing.assert_allclose(picture(32, left)[3], picture(32, right)[3], atol=1e-4)
