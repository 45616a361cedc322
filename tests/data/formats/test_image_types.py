"""What some bytes are, told by how they begin."""

import pytest

from tests.data.formats import pictures
from volano.data.formats import image_types
from volano.schemas.images import UnsupportedImage


def test_every_format_that_is_read_is_recognised() -> None:
    found = {image_types.recognise(data) for data in pictures.of_every_kind().values()}
    assert found == set(image_types.MEDIA_TYPES)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
        (b"\0\0\0\x18ftypmif1", "a HEIF photo"),
        (b"\0\0\0\x18ftypavif", "an AVIF image"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg/>", "an SVG drawing"),
        (b"  <!DOCTYPE html><html>", "an HTML page"),
        (b"<?xml version='1.0'?><annotation/>", "a text file"),
        (b'{"a": 1}', "a text file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\0\0\x01\0\x01\0", "an icon (ICO)"),
        (b"no picture", "no known image"),
        (b"P7\n", "no known image"),
        (b"RIFF\0\0\0\0WAVE", "no known image"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(data: bytes, found: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"This is {found.split()[0]}") as refused:
        image_types.recognise(data)
    assert refused.value.facts["found"] == found
    assert refused.value.status == 415


def test_owners_of_iphones_are_told_how_to_get_jpeg() -> None:
    with pytest.raises(UnsupportedImage) as refused:
        image_types.recognise(b"\0\0\0\x18ftypheic")
    assert "Most Compatible" in refused.value.advice
