"""The form in which a network sees pictures follows from the pictures."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.pictures import drawn, encoded, stage, write
from volano.schemas.registry import ImageSpec
from volano.training.recipes.image import form
from volano.training.recipes.image.form import Seen


def seen(*sizes: tuple[int, int], is_gray: bool = True) -> list[Seen]:
    return [Seen(height=h, width=w, is_gray=is_gray) for h, w in sizes]


@pytest.mark.parametrize(
    ("sizes", "size_px", "expected"),
    [
        ([(28, 28)] * 3, 0, (28, 28, "stretch")),
        ([(64, 20)] * 3, 0, (64, 20, "stretch")),
        ([(480, 640)] * 3, 0, (72, 96, "stretch")),
        ([(640, 480)] * 3, 0, (96, 72, "stretch")),
        ([(480, 640), (500, 640), (470, 640)], 0, (72, 96, "stretch")),
        ([(480, 640), (640, 480)], 0, (96, 96, "letterbox")),
        ([(30, 30), (45, 45), (50, 50)], 0, (48, 48, "stretch")),
        ([(28, 28)] * 3, 64, (64, 64, "stretch")),
        ([(3, 3), (4, 4)], 0, (8, 8, "stretch")),
        ([(2000, 40)] * 2, 0, (96, 8, "stretch")),
    ],
)
def test_the_form_keeps_size_and_proportions_where_it_can(
    sizes: list[tuple[int, int]], size_px: int, expected: tuple[int, int, str]
) -> None:
    found = form.choose(seen(*sizes), size_px)
    assert (found.height, found.width, found.fit) == expected


def test_one_picture_in_colour_makes_all_of_them_be_seen_in_colour() -> None:
    mixed = [*seen((9, 9), (9, 9)), *seen((9, 9), is_gray=False)]
    assert form.choose(mixed) == ImageSpec(height=9, width=9, channels=3)
    assert form.choose(mixed[:2]) == ImageSpec(height=9, width=9, channels=1)


def test_gray_pictures_that_are_stored_in_colour_are_seen_as_gray(tmp_path: Path) -> None:
    gray = drawn("disc", np.random.default_rng(0), 20, 20)
    in_colour = np.stack([gray, gray // 2, gray], axis=2)
    payloads = [
        encoded(gray),
        encoded(np.stack([gray] * 3, axis=2), "JPEG"),
        encoded(in_colour, "JPEG"),
    ]
    write(tmp_path / "train.parquet", [("a", payload) for payload in payloads])
    found = form.look(tmp_path / "train.parquet")
    assert [one.is_gray for one in found] == [True, True, False]
    assert [(one.height, one.width) for one in found] == [(20, 20)] * 3


def test_pictures_looked_at_are_spread_over_all(tmp_path: Path) -> None:
    stage(tmp_path, {"train": 400})
    assert len(form.look(tmp_path / "train.parquet")) == 600
