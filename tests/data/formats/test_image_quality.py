"""Plain measures of a picture: each falls with what it is named after, and with nothing else."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.data.formats import pictures
from volano.data.formats import image_quality, pixels

SHARP = pictures.rgb(pictures.picture(640, 480))


def parts(picture: NDArray[np.uint8]) -> dict[str, float]:
    """The value of each part of a picture's quality."""
    light = image_quality.measure(picture)
    rated = image_quality.rate(picture.shape[1], picture.shape[0], light)
    assert rated.score == pytest.approx(np.prod([part.value for part in rated.parts]))
    return {part.name: part.value for part in rated.parts}


def checked(side: int, low: int, high: int) -> NDArray[np.uint8]:
    """A chessboard of two grey levels, 4 px a field."""
    row, column = np.indices((side, side)) // 4
    return np.where((row + column) % 2, high, low).astype(np.uint8)[..., None].repeat(3, 2)


def test_nothing_is_said_against_a_chessboard() -> None:
    assert parts(checked(64, 20, 230)) == {"size": 1, "light": 1, "contrast": 1, "focus": 1}


def test_what_is_measured_are_the_extremes() -> None:
    assert image_quality.measure(checked(64, 20, 230))[:2] == (20, 230)


def test_a_tiny_picture_is_small() -> None:
    assert parts(checked(8, 20, 230)) == {"size": 0.5, "light": 1, "contrast": 1, "focus": 1}


def test_a_dark_picture_has_little_light() -> None:
    found = parts(checked(64, 0, 32))
    assert found == {"size": 1, "light": 0.5, "contrast": 1, "focus": 1}


def test_a_flat_picture_has_little_contrast() -> None:
    assert parts(checked(64, 120, 128))["contrast"] == 0.25
    assert parts(np.full((64, 64, 3), 200, np.uint8)) == {
        "size": 1,
        "light": 1,
        "contrast": 0,
        "focus": 1,
    }


def test_a_thin_line_on_paper_is_contrast_enough() -> None:
    paper = np.full((1000, 1000, 3), 255, np.uint8)
    cv2.line(paper, (100, 100), (900, 700), (0, 0, 0), 8)
    assert parts(paper)["contrast"] == 1


def test_focus_falls_with_blur_and_not_with_contrast(shared_data: Callable[[str], Path]) -> None:
    path = sorted((shared_data("detection-bccd") / "JPEGImages").glob("*.jpg"))[0]
    photograph = pixels.decode(path.read_bytes())
    blurred = [parts(cv2.GaussianBlur(photograph, (0, 0), sigma))["focus"] for sigma in (4, 8, 16)]

    assert parts(photograph)["focus"] == 1
    assert parts(photograph // 2 + 60)["focus"] == 1
    assert 0.2 < blurred[0] < 0.6
    assert blurred[1] < 0.1
    assert blurred[2] < 0.1
