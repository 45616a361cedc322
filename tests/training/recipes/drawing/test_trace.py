"""The trace of a drawing: the features against a loop, and what they must not see."""

import numpy as np
import pytest

from tests.training.drawings import SHAPES, drawn
from volano.data.formats.line_segments import segments


def traced(drawing: np.ndarray, padding: int = 0) -> np.ndarray:
    # Here, not above: torch takes seconds to import, and collecting tests should not.
    import torch

    from volano.training.recipes.drawing.raster import normalised
    from volano.training.recipes.drawing.trace import traces

    padded = np.concatenate([drawing, np.ones((padding, 4), np.float32)])
    mask = (torch.arange(len(padded)) < len(drawing))[None]
    found, _ = traces(normalised(torch.from_numpy(padded[None]), mask), mask)
    return found[0, :, 0].numpy()


def traced_by_loop(drawing: np.ndarray) -> np.ndarray:
    """The same features segment by segment in float64, as the docstring tells them."""
    ends = drawing.astype(np.float64).reshape(-1, 2, 2)
    low, high = ends.min((0, 1)), ends.max((0, 1))
    ends = (ends - (low + high) / 2) / max((high - low).max(), 1e-3) * 2
    rows, before = [], ends[0, 0]
    for begin, end in ends:
        angle = np.arctan2(*(end - begin)[::-1])
        directions = np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)
        rows.append(
            [1, *((begin + end) / 2), *directions, *(begin - before), np.hypot(*begin - before)]
        )
        before = end
    return np.array(rows).T


@pytest.mark.parametrize("shape", SHAPES)
def test_the_trace_has_the_features_it_tells_of(shape: str) -> None:
    drawing = segments(drawn(shape, np.random.default_rng(1)))
    np.testing.assert_allclose(traced(drawing), traced_by_loop(drawing), atol=2e-3)


def test_place_and_scale_leave_no_trace() -> None:
    drawing = segments(drawn("cross", np.random.default_rng(3)))
    moved = (drawing * 3.7 - 250).astype(np.float32)
    np.testing.assert_allclose(traced(moved), traced(drawing), atol=1e-4)


def test_there_is_nothing_in_the_padding() -> None:
    drawing = segments(drawn("star", np.random.default_rng(2)))
    found = traced(drawing, padding=7)
    assert not found[:, -7:].any()
    np.testing.assert_array_equal(found[:, :-7], traced(drawing))


@pytest.mark.parametrize("drawing", [np.zeros((0, 4)), np.zeros((1, 4)), np.full((3, 4), 9.0)])
def test_no_segments_and_dots_give_finite_traces(drawing: np.ndarray) -> None:
    assert np.isfinite(traced(drawing.astype(np.float32), padding=2)).all()
