"""Small pictures of images, to look at."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.data.formats import pictures
from volano.data.formats import thumbnails
from volano.schemas.drawings import BadImageSize

KINDS = pictures.of_every_kind()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_has_a_thumbnail(kind: str) -> None:
    media_type, data = thumbnails.thumbnail(KINDS[kind], 40)
    made = pictures.opened(data)

    assert media_type == thumbnails.PNG
    assert made.size == ((30, 40) if kind.endswith("turned") else (40, 30))
    assert dict(made.getexif()) == {}


def test_a_thumbnail_shows_the_picture() -> None:
    whole = pictures.picture(640, 480)
    media_type, data = thumbnails.thumbnail(pictures.file(whole, "JPEG"), 256)
    made = pictures.opened(data)

    expected = pictures.rgb(ImageOps.contain(whole, (256, 256), Image.Resampling.BOX))
    assert media_type == thumbnails.JPEG
    assert made.size == (256, 192)
    assert np.abs(pictures.rgb(made).astype(int) - expected).mean() < 4


def test_a_small_picture_stays_as_it_is() -> None:
    whole = pictures.picture(28, 28)
    media_type, data = thumbnails.thumbnail(pictures.file(whole, "PNG"), 256)

    assert media_type == thumbnails.PNG
    np.testing.assert_array_equal(pictures.rgb(pictures.opened(data)), pictures.rgb(whole))


@pytest.mark.parametrize("size_px", [15, 1025, 0, -1])
def test_a_size_out_of_range_is_refused(size_px: int) -> None:
    with pytest.raises(BadImageSize):
        thumbnails.thumbnail(KINDS["jpeg"], size_px)


@pytest.mark.parametrize("size_px", [16, 1024])
def test_a_size_at_the_end_of_the_range_is_made(size_px: int) -> None:
    _, data = thumbnails.thumbnail(KINDS["jpeg"], size_px)
    assert max(pictures.opened(data).size) == min(size_px, 80)
