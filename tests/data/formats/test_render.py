"""Pictures of drawings: right place, right colour, same bytes every time."""

import io
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from volano.data.formats import render, strokes
from volano.data.formats.strokes import Strokes
from volano.schemas.drawings import BadImageSize, CodecError

SVG = "{http://www.w3.org/2000/svg}"


def payload(*lines, width=100.0, height=100.0, **changes) -> bytes:
    counts = [len(line) for line in lines]
    return strokes.encode(
        Strokes(
            xy=np.array([point for line in lines for point in line], np.float32),
            t=np.arange(sum(counts)),
            starts=np.cumsum([0, *counts], dtype=np.int32),
            width=width,
            height=height,
            **changes,
        )
    )


CROSS = payload([(10, 50), (90, 50)], [(50, 10), (50, 90)], colors=("#ff0000", "#0000ff"))


def pixels(drawn: bytes, size_px: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(render.png(drawn, size_px)))
    assert picture.size == (size_px, size_px)
    return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("size_px", [16, 28, 64, 333, 1024])
def test_ink_lies_where_it_was_drawn_at_any_size(size_px):
    found = pixels(CROSS, size_px)
    at = [int(size_px * share) for share in (0.2, 0.5, 0.8)]
    assert tuple(found[0, 0]) == (255, 255, 255)
    for across, down, bright in ((at[0], at[1], 0), (at[2], at[1], 0), (at[1], at[2], 2)):
        red_green_blue = found[down, across].astype(int)
        assert red_green_blue.argmax() == bright
        assert red_green_blue[1] < 250


def test_a_wide_drawing_is_centred_and_keeps_its_shape():
    dark = (pixels(payload([(0, 0), (200, 0), (200, 100)], width=200), 200) < 128).all(axis=2)
    rows = np.flatnonzero(dark.any(axis=1))
    assert (rows[0], rows[-1]) == (48, 151)


def test_width_grows_with_the_picture():
    line = payload([(0, 50), (100, 50)], widths=(10.0,))
    thick = [(pixels(line, size)[:, size // 2, 0] < 128).sum() for size in (100, 200, 400)]
    assert thick == pytest.approx([10, 20, 40], abs=1)


def test_edges_are_smooth():
    shades = np.unique(pixels(payload([(10, 10), (90, 63)]), 64))
    assert len(shades) > 5


def test_a_dot_is_seen():
    assert pixels(payload([(50, 50)]), 100).min() == 0
    assert b'd="M50 50L50 50"' in render.svg(payload([(50, 50)]), 100)


def test_what_was_drawn_off_the_canvas_is_shown_too():
    found = pixels(payload([(50, 50), (150, 50)]), 150)
    assert found[:, 140].min() < 128


def test_the_svg_is_xml_with_one_path_a_stroke():
    root = ET.fromstring(render.svg(CROSS, 64).decode())
    paths = root.findall(f".//{SVG}path")
    assert [path.get("stroke") for path in paths] == ["#ff0000", "#0000ff"]
    assert [path.get("d") for path in paths] == ["M10 50L90 50", "M50 10L50 90"]
    assert root.get("width") == "64"
    assert root.get("viewBox") == "0 0 100 100"


@pytest.mark.parametrize("picture", [render.svg, render.png])
def test_equal_payloads_give_equal_bytes(picture):
    assert picture(CROSS, 48) == picture(CROSS, 48)


@pytest.mark.parametrize(
    ("picture", "size_px"),
    [(picture, size) for picture in (render.svg, render.png) for size in (-1, 0, 15)]
    + [(render.png, 1025), (render.svg, 10_001)],
)
def test_other_sizes_are_refused(picture, size_px):
    with pytest.raises(BadImageSize):
        picture(CROSS, size_px)


@pytest.mark.parametrize("picture", [render.svg, render.png])
def test_what_is_no_payload_is_refused(picture):
    with pytest.raises(CodecError):
        picture(b"nonsense", 64)


def test_extreme_payloads_are_drawn_in_bounded_room():
    wide = payload([(-4e6, 4e6), (4e6, -4e6)], width=0.25, height=0.25, widths=(1e6,))
    assert pixels(wide, 64).shape == (64, 64, 3)
    tiny = payload([(0, 0)], width=0.25, height=0.25, widths=(1e6,))
    assert pixels(tiny, 64).max() == 0


def distances(xy: np.ndarray, size_px: int) -> np.ndarray:
    """Of each pixel's middle to a line through `xy` in px: (size_px, size_px)."""
    middle = np.stack(np.meshgrid(*2 * [np.arange(size_px) + 0.5]), axis=-1)
    nearest = np.full((size_px, size_px), np.inf)
    for start, end in pairwise(xy):
        way = end - start
        share = np.clip((middle - start) @ way / max(way @ way, 1e-9), 0, 1)
        nearest = np.minimum(
            nearest, np.linalg.norm(middle - start - share[..., None] * way, axis=2)
        )
    return nearest


@pytest.mark.parametrize("width", [1.0, 4.0, 40.0])
@pytest.mark.parametrize("points", [2, 3, 100])
def test_every_pixel_within_half_the_pens_width_is_inked_and_no_other(width, points):
    xy = 50 + np.cumsum(np.random.default_rng(points).normal(0, 3, (points, 2)), axis=0)
    xy = np.round(np.clip(xy, 0, 100) * 8) / 8
    shade = pixels(payload(xy.tolist(), widths=(width,)), 200)[:, :, 0]
    away = distances(xy * 2, 200)
    assert shade[away < width - 1.2].max(initial=0) < 128
    assert shade[away > width + 1.2].min(initial=255) > 128


def test_even_20_000_points_of_a_pen_as_wide_as_the_canvas_are_painted():
    jumps = np.random.default_rng(0).uniform(0, 100, (200, 100, 2))
    assert pixels(payload(*jumps.tolist(), widths=(100.0,) * 200), 256).max() < 128


@pytest.mark.parametrize("spacing", [0.5, 3.0, 70.0, 1e4])
@pytest.mark.parametrize("points", [1, 2, 3, 500])
def test_a_thinned_line_begins_and_ends_where_it_did_and_leaves_no_gap(points, spacing):
    xy = np.cumsum(np.random.default_rng(points).normal(0, 1, (points, 2)), axis=0)
    kept = render._thinned(xy, spacing)
    assert kept[0].tolist() == xy[0].tolist()
    assert kept[-1].tolist() == xy[-1].tolist()
    steps = np.hypot(*np.diff(xy, axis=0).T)
    assert np.hypot(*np.diff(kept, axis=0).T).max(initial=0) < spacing + steps.max(initial=0)
    assert len(kept) <= steps.sum() / spacing + 3


def test_a_line_of_dense_points_is_thinned_and_still_ends_at_its_last_point():
    """A pen of 40 of 100 px at 1,024 px leaves out points less than 3.2 px apart."""
    xy = [(10 + 0.01 * n, 50) for n in range(201)]
    found = pixels(payload(xy, widths=(40.0,)), 1024)[512, :, 0]
    dark = np.flatnonzero(found < 128)
    assert dark[-1] == pytest.approx((12 + 20) / 100 * 1024, abs=1)


@pytest.mark.parametrize(
    ("picture", "size_px"),
    [(render.svg, 16), (render.svg, 10_000), (render.png, 16), (render.png, 1024)],
)
def test_the_smallest_and_the_largest_size_are_drawn(picture, size_px):
    assert picture(CROSS, size_px)
