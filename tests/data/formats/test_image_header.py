"""Sizes and orientations as pictures state them, beside what Pillow decodes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from volano.data.formats.image_header import Size, measure, media_type, upright

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")


def encoded(format: str, orientation: int = 0, **options: object) -> bytes:
    image = Image.new("RGB", (40, 30))
    image.putpixel((3, 2), (255, 0, 0))
    if orientation:
        image.getexif()[0x0112] = orientation
        options |= {"exif": image.getexif()}
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_is_told_without_decoding(format):
    data = encoded(format)
    assert measure(data) == Size(40, 30)
    assert media_type(data) == f"image/{format.lower()}"


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 5}, {"lossless": True}])
def test_other_ways_to_pack_tell_their_size_too(options):
    format = "WEBP" if "lossless" in options else "JPEG"
    assert measure(encoded(format, **options)) == Size(40, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_size_is_that_of_the_upright_picture(format, orientation):
    data = encoded(format, orientation)
    size = measure(data)
    seen = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (size.width, size.height) == seen.size
    assert size.orientation == orientation
    assert size.stored == (40, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_turned_as_the_picture_is(orientation):
    data = encoded("PNG", orientation)
    seen = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    red = next(
        (x, y)
        for x in range(seen.width)
        for y in range(seen.height)
        if seen.getpixel((x, y)) == (255, 0, 0)
    )
    x0, y0, x1, y1 = upright((3, 2, 4, 3), measure(data))
    assert (x0, y0) == red
    assert (x1, y1) == (red[0] + 1, red[1] + 1)


@given(st.binary(max_size=60), st.sampled_from(FORMATS), st.integers(0, 200))
def test_damaged_beginnings_tell_a_size_or_nothing(noise, format, at):
    data = encoded(format)
    size = measure(data[:at] + noise + data[at + len(noise) :])
    assert size is None or (size.width > 0 and size.height > 0)


@pytest.mark.parametrize("data", [b"", b"<html>", b"P6 1 1", b"\xff\xd8\xff"])
def test_what_is_no_picture_has_no_size(data):
    assert measure(data) is None
