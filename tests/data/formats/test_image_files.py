"""JPEG, PNG and WebP files taken apart: what is kept, what goes, what is refused."""

import struct

import pytest
from PIL import Image

from tests.data.formats import pictures
from tests.data.formats.pictures import chunk, segment
from volano.data.formats import image_files
from volano.data.formats.image_files import UPRIGHT, Malformed

PICTURE = pictures.picture()
JPEG = pictures.file(PICTURE, "JPEG", subsampling=0)
PNG = pictures.file(PICTURE, "PNG")
WEBP = pictures.file(PICTURE, "WEBP")

TOLD = pictures.PLACE


def markers(jpeg: bytes) -> list[int]:
    """The markers of the segments up to the first scan, which Pillow writes without fill bytes."""
    found, at = [], 2
    while jpeg[at + 1] != 0xDA:
        found.append(jpeg[at + 1])
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return found


def chunks(png: bytes) -> list[bytes]:
    """The names of the chunks of a PNG."""
    found, at = [], 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        found.append(name)
        at += 12 + length
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_block_says_the_orientation_and_nothing_else(orientation: int) -> None:
    exif = Image.Exif()
    exif.load(image_files.exif(orientation))
    assert dict(exif) == {0x0112: orientation}


@pytest.mark.parametrize(
    "told",
    [
        segment(0xE1, b"Exif\0\0" + TOLD),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TOLD),
        segment(0xE2, b"MPF\0" + TOLD),
        segment(0xE2, b"FPXR\0" + TOLD),
        segment(0xED, b"Photoshop 3.0\0" + TOLD),
        segment(0xE0, b"JFXX\0\x10" + TOLD),
        segment(0xEF, TOLD),
        segment(0xFE, TOLD),
        b"\xff\xff\xff" + segment(0xFE, TOLD)[1:],
        TOLD,  # outside every segment, which decoders skip
    ],
)
def test_what_a_jpeg_tells_beside_its_picture_goes(told: bytes) -> None:
    assert image_files.jpeg(JPEG[:20] + told + JPEG[20:], UPRIGHT) == JPEG


def test_the_thumbnail_in_the_head_of_a_jpeg_goes() -> None:
    size = struct.unpack(">H", JPEG[4:6])[0]
    body = JPEG[6 : 4 + size - 2] + b"\x02\x02" + TOLD[:12]
    assert image_files.jpeg(JPEG[:2] + segment(0xE0, body) + JPEG[4 + size :], UPRIGHT) == JPEG


def test_what_says_how_numbers_become_colours_stays() -> None:
    profile = pictures.file(PICTURE, "JPEG", icc_profile=pictures.profile())
    printer = pictures.file(PICTURE.convert("CMYK"), "JPEG")
    assert image_files.jpeg(profile, UPRIGHT) == profile
    assert image_files.jpeg(printer, UPRIGHT) == printer


def test_the_orientation_of_a_jpeg_stands_behind_its_head() -> None:
    turned = image_files.jpeg(JPEG, 6)
    assert markers(turned) == [0xE0, 0xE1, *markers(JPEG)[1:]]
    assert dict(pictures.opened(turned).getexif()) == {0x0112: 6}


def test_parts_of_a_jpeg_with_restarts_and_many_scans_stay() -> None:
    for options in ({"restart_marker_blocks": 1}, {"progressive": True}):
        jpeg = pictures.file(PICTURE, "JPEG", **options)
        assert image_files.jpeg(jpeg, UPRIGHT) == jpeg


@pytest.mark.parametrize(
    "broken",
    [
        JPEG[:2],
        JPEG[:21],
        JPEG[:-2],
        JPEG[:-1],
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + segment(0xDB, b"")[:3] + b"\x01",
        JPEG[:-2] + b"\xff" * 3_000_000,
    ],
)
def test_a_jpeg_without_its_end_or_picture_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        image_files.jpeg(broken, UPRIGHT)


@pytest.mark.parametrize(
    "told",
    [
        chunk(b"tEXt", b"Comment\0" + TOLD),
        chunk(b"zTXt", b"Comment\0\0" + TOLD),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + TOLD),
        chunk(b"eXIf", TOLD),
        chunk(b"tIME", b"\x07\xe8\x01\x01\x00\x00\x00"),
        chunk(b"prVt", TOLD),
        chunk(b"acTL", struct.pack(">II", 2, 0)),
    ],
)
def test_what_a_png_tells_beside_its_picture_goes(told: bytes) -> None:
    assert image_files.png(PNG[:33] + told + PNG[33:], UPRIGHT) == PNG
    assert image_files.png(PNG[:-12] + told + PNG[-12:], UPRIGHT) == PNG


def test_the_orientation_of_a_png_stands_before_its_pixels() -> None:
    turned = image_files.png(PNG, 8)
    assert chunks(turned) == [b"IHDR", b"eXIf", *chunks(PNG)[1:]]
    assert image_files.png_exif(turned) == image_files.exif(8)
    assert image_files.png_exif(PNG) is None


@pytest.mark.parametrize("broken", [PNG[:8], PNG[:-1], PNG[:-12], PNG[:40]])
def test_a_png_without_its_end_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        image_files.png(broken, UPRIGHT)


def test_what_a_webp_tells_beside_its_picture_goes() -> None:
    told = pictures.file(PICTURE, "WEBP", exif=pictures.with_place(), xmp=TOLD)
    assert TOLD in told
    assert image_files.webp(told, UPRIGHT) == WEBP


def test_a_webp_says_in_its_head_what_it_has() -> None:
    alpha = PICTURE.copy()
    alpha.putalpha(90)
    for options in ({"icc_profile": pictures.profile()}, {"lossless": True}, {}):
        webp = pictures.file(alpha, "WEBP", **options)
        turned = image_files.webp(pictures.file(alpha, "WEBP", exif=b"x", **options), 3)
        assert image_files.webp(webp, UPRIGHT) == webp
        assert dict(pictures.opened(turned).getexif()) == {0x0112: 3}
        assert pictures.opened(turned).mode == "RGBA"


@pytest.mark.parametrize("broken", [WEBP[:20], WEBP[:-3], pictures.animated("WEBP"), WEBP[:12]])
def test_a_webp_without_one_whole_picture_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        image_files.webp(broken, UPRIGHT)
