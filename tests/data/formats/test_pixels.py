"""Images as pixels: equal however they were stored, near to Pillow, within limits."""

import io
import itertools
import struct
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.data.formats import pictures
from volano.data.formats import pixels
from volano.schemas.errors import VolanoError
from volano.schemas.images import (
    ImageCorrupt,
    ImageTooLarge,
    ImageTooNarrow,
    TooManyPixels,
    UnsupportedImage,
)

KINDS = pictures.of_every_kind()
BY_KIND = pytest.mark.parametrize("kind", KINDS)
NEAR = 3
"""Grey levels that OpenCV's and Pillow's JPEG decoders may be apart, on average."""

FACTS = {
    "jpeg": (80, 60, "JPEG", "RGB", 8, 1, False),
    "jpeg-grey": (80, 60, "JPEG", "L", 8, 1, False),
    "jpeg-cmyk": (80, 60, "JPEG", "CMYK", 8, 1, False),
    "jpeg-turned": (60, 80, "JPEG", "RGB", 8, 1, True),
    "mpo": (80, 60, "JPEG", "RGB", 8, 2, False),
    "png-1-bit": (80, 60, "PNG", "1", 1, 1, False),
    "png-16-grey": (80, 60, "PNG", "I;16", 16, 1, False),
    "png-16-colour": (80, 60, "PNG", "RGB", 16, 1, False),
    "png-turned": (60, 80, "PNG", "RGB", 8, 1, True),
    "apng": (80, 60, "PNG", "RGB", 8, 3, False),
    "webp-turned": (60, 80, "WEBP", "RGB", 8, 1, True),
    "webp-animated": (80, 60, "WEBP", "RGBA", 8, 3, False),
    "gif-animated": (80, 60, "GIF", "P", 8, 3, False),
    "bmp": (80, 60, "BMP", "RGB", 8, 1, False),
    "tiff-turned": (60, 80, "TIFF", "RGB", 8, 1, True),
    "tiff-pages": (80, 60, "TIFF", "RGB", 8, 2, False),
    "pgm-16": (80, 60, "PPM", "I", 16, 1, False),
}


def code_of(data: bytes) -> str:
    """The code with which each way in refuses the bytes: all of them the same."""
    codes = set()
    for call in (pixels.inspect, pixels.canonical, pixels.decode):
        with pytest.raises(VolanoError) as refused:
            call(data)
        codes.add(refused.value.code)
    (code,) = codes
    return code


@BY_KIND
def test_what_is_stored_decodes_to_the_pixels_that_were_sent(kind: str) -> None:
    stored = pixels.canonical(KINDS[kind])
    np.testing.assert_array_equal(pixels.decode(stored), pixels.decode(KINDS[kind]))


@BY_KIND
def test_what_is_stored_is_its_own_stored_form(kind: str) -> None:
    stored = pixels.canonical(KINDS[kind])
    assert pixels.canonical(stored) == stored


@BY_KIND
def test_no_place_comment_or_maker_is_stored(kind: str) -> None:
    stored = pixels.canonical(KINDS[kind])
    assert pictures.PLACE not in stored
    assert dict(pictures.opened(stored).getexif()).keys() <= {0x0112}


def test_the_place_was_there_before() -> None:
    told = {kind for kind, data in KINDS.items() if pictures.PLACE in data}
    assert told == {"jpeg-turned", "png-turned", "webp-turned", "gif", "tiff-turned"}


@pytest.mark.parametrize("kind", FACTS)
def test_the_header_tells_the_facts(kind: str) -> None:
    assert astuple(pixels.inspect(KINDS[kind])) == FACTS[kind]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("pgm-16",)])
def test_pixels_are_those_of_pillow(kind: str) -> None:
    image = ImageOps.exif_transpose(pictures.opened(KINDS[kind]))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))

    decoded = pixels.decode(KINDS[kind])

    apart = np.abs(decoded.astype(int) - pictures.rgb(image)).astype(float)
    assert decoded.shape == (image.height, image.width, 3)
    assert apart.mean() <= (NEAR if kind.startswith(("jpeg", "mpo")) else 0.5)
    assert apart.max() <= (40 if kind.startswith(("jpeg", "mpo")) else 1)


@pytest.mark.parametrize("kind", ["png-16-grey", "tiff-16-grey", "pgm-16"])
def test_sixteen_bits_keep_their_upper_eight(kind: str) -> None:
    np.testing.assert_array_equal(pixels.decode(KINDS[kind]), pixels.decode(KINDS["pgm"]))
    assert pictures.opened(pixels.canonical(KINDS[kind])).mode == "I;16"


@pytest.mark.parametrize(
    ("orientation", "format"), list(itertools.product(range(1, 9), ["JPEG", "PNG", "WEBP", "TIFF"]))
)
def test_a_turned_camera_gives_an_upright_picture(orientation: int, format: str) -> None:
    picture = pictures.picture()
    if format == "TIFF":
        data = pictures.file(picture, format, tiffinfo={0x0112: orientation})
    else:
        data = pictures.file(picture, format, exif=pictures.with_place(orientation))
    upright = pictures.rgb(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))

    stored = pixels.canonical(data)

    for decoded in (pixels.decode(data), pixels.decode(stored)):
        assert decoded.shape == upright.shape
        assert np.abs(decoded.astype(int) - upright).mean() <= NEAR
    assert pixels.inspect(data).oriented == (orientation != 1)


def test_orientation_counts_wherever_it_stands_in_a_png() -> None:
    whole = pictures.file(pictures.picture(), "PNG", exif=pictures.with_place(8))
    at = whole.index(b"eXIf") - 4
    end = at + 12 + struct.unpack(">I", whole[at : at + 4])[0]
    behind = whole[:at] + whole[end:-12] + whole[at:end] + whole[-12:]

    assert pixels.inspect(behind).oriented
    np.testing.assert_array_equal(pixels.decode(behind), pixels.decode(whole))
    np.testing.assert_array_equal(pixels.decode(pixels.canonical(behind)), pixels.decode(whole))


def test_orientation_that_only_xmp_tells_counts() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    body = pictures.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    data = pictures.with_segments(KINDS["jpeg"], body)

    stored = pixels.canonical(data)

    assert pixels.inspect(data).oriented
    assert b"xmpmeta" not in stored
    np.testing.assert_array_equal(pixels.decode(stored), pixels.decode(data))


def test_of_two_exif_blocks_the_first_counts() -> None:
    blocks = [
        pictures.segment(0xE1, b"Exif\0\0" + pictures.with_place(turned).tobytes()[6:])
        for turned in (6, 3)
    ]
    data = pictures.with_segments(KINDS["jpeg"], *blocks)

    stored = pixels.canonical(data)

    assert pixels.decode(data).shape == (80, 60, 3)
    assert stored.count(b"Exif\0\0") == 1
    np.testing.assert_array_equal(pixels.decode(stored), pixels.decode(data))


def test_an_orientation_that_means_nothing_is_none() -> None:
    data = pictures.file(pictures.picture(), "JPEG", exif=pictures.with_place(9))
    assert not pixels.inspect(data).oriented
    assert pixels.decode(data).shape == (60, 80, 3)


def test_bytes_behind_the_picture_are_not_stored() -> None:
    for kind in ("jpeg", "png", "webp"):
        assert pixels.canonical(KINDS[kind] + b"trailing garbage") == pixels.canonical(KINDS[kind])


def test_colours_of_printers_are_read_however_adobe_inverts_them() -> None:
    cmyk = pictures.picture().convert("CMYK")
    for jpeg in (pictures.file(cmyk, "JPEG"), pictures.file(cmyk, "JPEG", quality=100)):
        apart = np.abs(pixels.decode(jpeg).astype(int) - pictures.rgb(cmyk))
        assert apart.mean() <= NEAR


def test_transparent_parts_are_white() -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    for format in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        assert pixels.decode(pictures.file(clear, format, **options)).min() == 255
        assert set(pixels.decode(pictures.file(half, format, **options)).ravel()) <= {127, 128}


def test_a_profile_is_kept_and_not_applied() -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        plain = pictures.file(pictures.picture(), format)
        stored = pixels.canonical(KINDS[f"{format.lower()}-profile"])
        assert pictures.opened(stored).info["icc_profile"]
        np.testing.assert_array_equal(pixels.decode(stored), pixels.decode(plain))


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 64),
    st.integers(1, 64),
    st.sampled_from(["stretch", "letterbox"]),
    st.sampled_from([1, 3]),
)
def test_what_is_loaded_has_the_size_that_was_asked_for(
    rows: int, columns: int, height: int, width: int, how: pixels.Fit, channels: int
) -> None:
    picture = np.full((rows, columns, 3), 200, np.uint8)

    fitted = pixels.fit(picture, height, width, channels, how)

    assert fitted.shape == (height, width, channels)
    assert set(fitted.ravel().tolist()) <= {200, pixels.PADDING}
    assert (fitted == 200).any()
    if how == "stretch":
        assert (fitted == 200).all()


def test_a_letterboxed_picture_lies_in_the_middle_with_its_proportions() -> None:
    fitted = pixels.fit(np.full((40, 80, 3), 200, np.uint8), 64, 64, 3, "letterbox")
    assert (fitted[16:48] == 200).all()
    assert (fitted[:16] == pixels.PADDING).all()
    assert (fitted[48:] == pixels.PADDING).all()


def test_grey_weighs_the_colours_as_television_does() -> None:
    red_green_blue = np.eye(3, dtype=np.uint8)[None] * 255
    assert pixels.fit(red_green_blue, 1, 3, 1, "stretch").ravel().tolist() == [76, 150, 29]


@pytest.mark.parametrize(
    ("least_px", "size"),
    [(None, (480, 640)), (481, (480, 640)), (240, (240, 320)), (121, (240, 320)), (60, (60, 80)),
     (1, (60, 80))],
)  # fmt: skip
def test_a_jpeg_is_decoded_as_small_as_is_enough(
    least_px: int | None, size: tuple[int, int]
) -> None:
    data = pictures.file(pictures.picture(640, 480), "JPEG")
    assert pixels.decode(data, least_px=least_px).shape[:2] == size


def test_other_formats_are_decoded_whole() -> None:
    for format in ("PNG", "WEBP"):
        data = pictures.file(pictures.picture(640, 480), format)
        assert pixels.decode(data, least_px=60).shape[:2] == (480, 640)


@pytest.mark.parametrize("how", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (900, 200)])
def test_decoding_small_changes_what_a_network_sees_by_little(
    how: pixels.Fit, size: tuple[int, int]
) -> None:
    data = pictures.file(pictures.picture(*size), "JPEG", quality=90)
    whole = pixels.fit(pixels.decode(data), 96, 96, 3, how)

    loaded = pixels.load(data, 96, 96, 3, how)

    assert loaded.shape == (96, 96, 3)
    assert np.abs(loaded.astype(int) - whole).mean() <= 2


@pytest.mark.parametrize("kind", ["jpeg-turned", "png-alpha", "webp", "gif-animated", "tiff-cmyk"])
def test_training_and_serving_see_the_same_pixels(kind: str) -> None:
    sent = pixels.load(KINDS[kind], 32, 24, 3, "letterbox")
    stored = pixels.load(pixels.canonical(KINDS[kind]), 32, 24, 3, "letterbox")
    np.testing.assert_array_equal(sent, stored)


def test_a_bomb_is_refused_by_its_header() -> None:
    data = pictures.bomb(20_000)
    assert len(data) < 60_000
    assert code_of(data) == TooManyPixels.code
    with pytest.raises(TooManyPixels, match="it has 400,000,000, more than 40,000,000"):
        pixels.inspect(data)


def test_no_pixel_is_decoded_before_the_limits_are_checked() -> None:
    head = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 2, 0, 0, 0)
    body = pictures.chunk(b"IHDR", head) + pictures.chunk(b"IDAT", b"no pixels")
    assert code_of(b"\x89PNG\r\n\x1a\n" + body) == TooManyPixels.code


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff", "ppm"])
def test_the_header_is_read_without_the_pixels(kind: str) -> None:
    whole = KINDS[kind]
    told = pixels.inspect(whole[: len(whole) * 9 // 10])
    assert told == pixels.inspect(whole)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((6_400, 6_300), TooManyPixels.code),
        ((16_385, 400), TooManyPixels.code),
        ((51, 1), ImageTooNarrow.code),
        ((1, 51), ImageTooNarrow.code),
    ],
)
def test_a_picture_beyond_a_limit_is_refused(size: tuple[int, int], code: str) -> None:
    assert code_of(pictures.file(Image.new("1", size), "PNG")) == code


@pytest.mark.parametrize("size", [(1, 1), (50, 1), (16_384, 400)])
def test_a_picture_at_a_limit_is_read(size: tuple[int, int]) -> None:
    data = pictures.file(Image.new("1", size), "PNG")
    assert pixels.decode(data).shape[:2] == size[::-1]


def test_a_file_of_too_many_bytes_is_refused_unread() -> None:
    assert code_of(KINDS["jpeg"].ljust(pixels.MOST_BYTES + 1, b"\0")) == ImageTooLarge.code


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gif-animated"])
def test_half_a_file_is_refused(kind: str) -> None:
    half = KINDS[kind][: len(KINDS[kind]) // 2]
    with pytest.raises(ImageCorrupt):
        pixels.canonical(half)


def test_an_animation_that_is_wrong_behind_its_first_frame_has_a_picture() -> None:
    plain = KINDS["png"]
    later = pictures.chunk(b"fdAT", struct.pack(">I", 7) + b"no frame")
    animation = pictures.chunk(b"acTL", struct.pack(">II", 2, 0))
    wrong = plain[:33] + animation + plain[33:-12] + later + plain[-12:]

    np.testing.assert_array_equal(pixels.decode(wrong), pixels.decode(plain))
    assert pixels.canonical(wrong) == plain


def test_an_animation_cut_behind_its_first_frame_has_a_picture() -> None:
    whole = KINDS["gif-animated"]
    half = pixels.canonical(whole[: len(whole) // 2])
    np.testing.assert_array_equal(pixels.decode(half), pixels.decode(whole))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-progressive", "png", "webp"])
def test_a_file_without_its_last_bytes_is_refused(kind: str) -> None:
    for missing in (1, 2, 10):
        with pytest.raises(ImageCorrupt):
            pixels.canonical(KINDS[kind][:-missing])


def test_a_picture_of_no_width_is_refused() -> None:
    assert code_of(pictures.png_by_hand(0, 5, 8, 0, b"")) == ImageCorrupt.code


def test_grey_levels_without_a_scale_are_refused_with_the_remedy() -> None:
    data = pictures.file(Image.new("F", (8, 8), 0.5), "TIFF")
    with pytest.raises(UnsupportedImage, match="mode F") as refused:
        pixels.canonical(data)
    assert "8 or 16 bits" in refused.value.advice


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    progressive = KINDS["jpeg-progressive"]
    scan = pictures.segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + b"\0"
    with pytest.raises(ImageCorrupt, match="scans"):
        pixels.canonical(progressive[:-2] + scan * 600 + progressive[-2:])


def test_real_photographs_decode_as_by_pillow(shared_data: Callable[[str], Path]) -> None:
    for path in sorted((shared_data("detection-bccd") / "JPEGImages").glob("*.jpg"))[:5]:
        data = path.read_bytes()
        stored = pixels.canonical(data)
        decoded = pixels.decode(stored)
        np.testing.assert_array_equal(decoded, pixels.decode(data))
        assert np.abs(decoded.astype(int) - pictures.rgb(pictures.opened(data))).mean() <= NEAR


def test_the_digest_follows_the_code_and_not_its_comments() -> None:
    source = Path(pixels.__file__).read_text("utf-8")
    other = source.replace("PADDING = 114", "PADDING = 115")
    assert pixels.digest(source) == pixels.DIGEST
    assert pixels.digest(source.replace('"""Decode', '"""Turn') + "# more\n") == pixels.DIGEST
    assert other != source
    assert pixels.digest(other) != pixels.DIGEST
