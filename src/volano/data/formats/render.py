"""Drawings as pictures: made when asked for, never stored in place of the strokes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from volano.data.formats import strokes
from volano.data.formats.strokes import Strokes
from volano.schemas.drawings import DEFAULT_COLOR, DEFAULT_WIDTH_PX, BadImageSize

LEAST_PX, MOST_PX, MOST_SVG_PX = 16, 1024, 10_000
PAPER = "#ffffff"

_FINEST_PX = 2048  # the side of the picture that is shrunk to smooth its edges
_INK_PX = 1 << 26  # pixels painted for one picture, over and over included: some tenths of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The square that is shown, in px of the drawing: the canvas, and what was drawn off it."""

    left: float
    top: float
    side: float


def svg(payload: bytes, size_px: int) -> bytes:
    """Return the drawing as SVG of `size_px` (16 to 10,000) a side, centred on white.

    Equal payloads give equal bytes. Raises: BadImageSize, CodecError.
    """
    _check_size(size_px, MOST_SVG_PX)
    drawing = strokes.decode(payload)
    view = _view(drawing)
    corner = f"{_short(view.left)} {_short(view.top)}"
    side = _short(view.side)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size_px}" height="{size_px}"'
        f' viewBox="{corner} {side} {side}">',
        f'<rect x="{_short(view.left)}" y="{_short(view.top)}" width="{side}" height="{side}"'
        f' fill="{PAPER}"/>',
        '<g fill="none" stroke-linecap="round" stroke-linejoin="round">',
        *(
            f'<path stroke="{color}" stroke-width="{_short(width)}" d="{_path(xy)}"/>'
            for xy, color, width in _styled(drawing)
        ),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines).encode()


def png(payload: bytes, size_px: int) -> bytes:
    """Return the drawing as PNG of `size_px` (16 to 1024) a side: what `svg` shows, smoothed.

    No line is thinner than one pixel. Equal payloads give equal bytes with one version of Pillow.
    Raises: BadImageSize, CodecError.
    """
    _check_size(size_px, MOST_PX)
    drawing = strokes.decode(payload)
    view = _view(drawing)
    finer = min(4, _FINEST_PX // size_px)
    scale = size_px * finer / view.side
    picture = Image.new("RGB", (size_px * finer, size_px * finer), PAPER)
    lines = [
        _Line((xy - (view.left, view.top)) * scale, color, max(width * scale, finer))
        for xy, color, width in _styled(drawing)
    ]
    pen = ImageDraw.Draw(picture)
    for line in _affordable(lines, picture.width):
        _ink(pen, line, 3 * picture.width)
    packed = io.BytesIO()
    picture.reduce(finer).save(packed, "PNG")
    return packed.getvalue()


def _check_size(size_px: int, most_px: int) -> None:
    if not LEAST_PX <= size_px <= most_px:
        raise BadImageSize(size_px=size_px, least=LEAST_PX, most=most_px)


def _view(drawing: Strokes) -> _View:
    left, top = np.minimum(drawing.xy.min(axis=0), 0).tolist()
    right, bottom = np.maximum(drawing.xy.max(axis=0), (drawing.width, drawing.height)).tolist()
    side = max(right - left, bottom - top)
    return _View(left=(left + right - side) / 2, top=(top + bottom - side) / 2, side=side)


def _styled(drawing: Strokes) -> Iterator[tuple[NDArray[np.float32], str, float]]:
    """Yield positions (n, 2), colour and width of each stroke."""
    spans = list(pairwise(drawing.starts.tolist()))
    colors = drawing.colors or (DEFAULT_COLOR,) * len(spans)
    widths = drawing.widths or (DEFAULT_WIDTH_PX,) * len(spans)
    for (start, end), color, width in zip(spans, colors, widths, strict=True):
        yield drawing.xy[start:end], color, width


def _path(xy: NDArray[np.float32]) -> str:
    points = [f"{_short(x)} {_short(y)}" for x, y in xy.tolist()]
    # A line to where it already is becomes a dot, thanks to the round cap.
    return "M" + "L".join(points if len(points) > 1 else points * 2)


def _short(number: float) -> str:
    """Write a number without trailing zeros, exact for sixteenths."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


class _Line(NamedTuple):
    """A stroke in pixels of the picture: positions (n, 2), colour, width."""

    xy: NDArray[np.floating]
    color: str
    width_px: float


def _affordable(lines: list[_Line], side_px: int) -> list[_Line]:
    """Return the lines without the points that nobody would miss.

    Those are points less than half a pixel, or a 256th of the pen, along the line from the one
    before. Where 20,000 points of a pen as wide as the canvas would still take a minute to paint,
    they have to be farther apart.
    """
    spacing = 0.5
    while True:
        thinned = [
            line._replace(xy=_thinned(line.xy, spacing * max(1.0, line.width_px / 128)))
            for line in lines
        ]
        ink = sum(_ink_px(line, side_px) for line in thinned)
        if ink <= _INK_PX or all(len(line.xy) <= 2 for line in thinned):
            return thinned
        spacing *= 2


def _ink_px(line: _Line, side_px: int) -> float:
    """Estimate how many pixels it paints: a disc a point, a bar between two."""
    width = min(line.width_px, side_px)
    length = float(np.hypot(*np.diff(line.xy, axis=0).T).sum())
    return width * (len(line.xy) * width + min(length, len(line.xy) * side_px))


def _thinned(xy: NDArray[np.floating], spacing: float) -> NDArray[np.floating]:
    """Return the first point of each `spacing` px of the line's length, and its last point."""
    along = np.cumsum(np.hypot(*np.diff(xy, axis=0).T)) // spacing
    starts = np.flatnonzero(np.diff(along, prepend=0.0)) + 1
    kept: NDArray[np.floating] = xy[np.union1d([0, len(xy) - 1], starts)]
    return kept


def _ink(pen: ImageDraw.ImageDraw, line: _Line, most_px: int) -> None:
    """Draw one stroke with round joints and caps: bars from point to point, a disc on each."""
    width_px = min(line.width_px, most_px)
    pen.line(line.xy.ravel().tolist(), fill=line.color, width=round(width_px))
    radius = width_px / 2
    for x, y in line.xy.tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=line.color)
