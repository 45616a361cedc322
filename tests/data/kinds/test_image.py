"""The kind of records that are images."""

import msgspec
import pytest

from tests.data.formats import pictures
from volano.data.formats import image_types
from volano.data.kinds import KINDS
from volano.schemas.images import ImageCorrupt, UnsupportedImage

IMAGE = KINDS["image"]
FILES = pictures.of_every_kind()


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_read_shown_and_scored(name: str) -> None:
    reading = IMAGE.read(FILES[name], "application/octet-stream")
    shown = IMAGE.preview(reading.payload, 64)
    quality = IMAGE.score(b"", msgspec.json.decode(msgspec.json.encode(reading.facts)))

    stored_as = image_types.recognise(reading.payload)
    assert reading.facts["media_type"] == image_types.MEDIA_TYPES[stored_as]
    assert stored_as in ("JPEG", "PNG", "WEBP")
    assert {reading.facts["width"], reading.facts["height"]} == {60, 80}
    assert max(pictures.opened(shown.data).size) == 64
    assert [part.name for part in quality.parts] == ["size", "light", "contrast", "focus"]
    assert [part.value for part in quality.parts[:3]] == [1, 1, 1]
    assert quality.score > 0.3  # those with soft edges of transparency have little focus


def test_the_bytes_say_what_an_image_is_and_not_its_media_type() -> None:
    reading = IMAGE.read(FILES["png"], "image/jpeg")
    assert reading.facts["media_type"] == "image/png"
    assert reading.facts["format"] == "PNG"


def test_facts_are_those_of_the_file_that_was_sent() -> None:
    facts = IMAGE.read(FILES["gif-animated"], "image/gif").facts
    assert facts["media_type"] == "image/png"
    assert facts["format"] == "GIF"
    assert facts["frames"] == 3


def test_no_place_is_stored_with_an_image() -> None:
    sent = FILES["jpeg-turned"]
    reading = IMAGE.read(sent, "image/jpeg")
    assert pictures.PLACE in sent
    assert pictures.PLACE not in reading.payload
    assert pictures.PLACE not in IMAGE.preview(reading.payload, 64).data
    assert reading.facts["oriented"] is True


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"<svg onload='alert(1)'/>", UnsupportedImage),
        (b"<html><script>alert(1)</script>", UnsupportedImage),
        (b"%PDF-1.7", UnsupportedImage),
        (FILES["jpeg"][:900], ImageCorrupt),
    ],
)
def test_what_only_says_that_it_is_an_image_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        IMAGE.read(data, "image/png")
