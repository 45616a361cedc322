"""Drawings as clients send and receive them, and why one is refused."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from volano.schemas.common import Id, Input, Name, Struct
from volano.schemas.data import Quality
from volano.schemas.errors import Invalid, TooMuch

Device = Literal["unknown", "mouse", "touch", "pen", "synthetic", "import"]
"""What drew. The stroke codec stores the position in this list, so it grows at the end only."""

DEFAULT_COLOR = "#000000"
DEFAULT_WIDTH_PX = 4.0

Flag = Literal[
    "time-normalised",
    "off-canvas",
    "pressure-partial",
    "duration-mismatch",
    "timestamps-in-seconds",
]
"""What was odd about a drawing that was accepted all the same:

- time-normalised: some timestamps ran backwards and were raised to the latest before them;
- off-canvas: the pointer left the canvas while it drew;
- pressure-partial: only some points had pressure, the others count as 0;
- duration-mismatch: the stated duration is shorter than the timestamps span;
- timestamps-in-seconds: as milliseconds no pointer is that fast; they were taken as seconds.
"""


class Point(Input, frozen=True, kw_only=True, gc=False):
    """One position of the pointer, in px from the canvas's top left corner."""

    x: float
    y: float
    timestamp: float
    """Milliseconds, since 1970 or since any moment before the drawing: only differences count."""
    pressure: Annotated[float, Meta(ge=0, le=1)] | None = None


class Stroke(Input, frozen=True, kw_only=True, gc=False):
    """What was drawn between pointer down and pointer up."""

    points: list[Point]
    color: Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")] = DEFAULT_COLOR
    width: Annotated[float, Meta(gt=0, le=256)] = DEFAULT_WIDTH_PX


Side = Annotated[float, Meta(extra_json_schema={"minimum": 16, "maximum": 10_000})]
"""px; described here and checked where drawings are, which says more."""


class Canvas(Input, frozen=True, kw_only=True, gc=False):
    """The size of what was drawn on, in CSS px."""

    width: Side
    height: Side


class NewDrawing(Input, frozen=True, kw_only=True, gc=False):
    """One drawing of an asked shape, as a client sends it."""

    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})] = ""
    """A UUID that the client makes once (version 7 sorts best), so sending twice stores once.
    Without one the server makes one and says so: sent again, it is another drawing."""
    shape: Name
    canvas: Canvas
    strokes: list[Stroke]
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    """How long the drawing took; without it, the time between the first and the last point."""
    device: Device = "unknown"


DrawingBatch = Annotated[list[NewDrawing], Meta(min_length=1, max_length=50)]
"""Up to 50 drawings in one request; each is stored or refused by itself."""


class Drawing(Struct, frozen=True, kw_only=True):
    """A stored drawing; coordinates within 1/8 px of what was sent, times within 1/2 ms."""

    id: Id
    dataset: str = "drawings"
    shape: str
    canvas: Canvas
    strokes: list[Stroke]
    duration_ms: float
    device: Device
    origin: str = ""
    """Where it came from: empty for the game, else the name of the import."""
    contributor: str = ""
    split: str = ""
    group: str = ""
    synthetic: bool = False
    quality: Quality | None = None
    flags: list[str] = []
    """`Flag`s and what later stages add."""
    captured_at: datetime
    received_at: datetime


class BadDrawingId(Invalid):
    """The drawing id {id!r} is not a UUID."""

    remedy = "Make one UUIDv7 when the drawing starts and send it with every try."


class BadCanvas(Invalid):
    """A canvas of {width} x {height} px cannot be drawn on."""

    remedy = (
        "Send its size and all positions in CSS px, {least} to {most} a side; not shares of it."
    )


class DrawingEmpty(Invalid):
    """There is nothing to store: {what} has no {missing}."""

    remedy = "Send at least one stroke, and at least one point in every stroke."


class TooManyStrokes(Invalid):
    """The drawing has {strokes} strokes, more than {limit}."""

    remedy = "Split it, or ask whoever runs this server for a higher limit."


class TooManyPoints(Invalid):
    """The drawing has {points} points, more than {limit}."""

    remedy = "Record at most 240 points a second; drop repeated positions."


class DrawingTooLarge(TooMuch):
    """The drawing takes {size} bytes, more than {limit}."""

    status = 413
    remedy = "Send fewer points."


class DrawingTooLong(Invalid):
    """The drawing lasted {duration_ms} ms, more than {limit}."""

    remedy = "Use one clock for all points of a drawing, in milliseconds."


class PointNotFinite(Invalid):
    """Point {point} of stroke {stroke} has {field} = {value}."""

    remedy = "Send finite numbers."


class PointOffCanvas(Invalid):
    """Point {point} of stroke {stroke} at ({x}, {y}) is far off the {width} x {height} canvas."""

    remedy = "Send coordinates in px from the canvas's top left corner."


class BadTimestamp(Invalid):
    """Point {point} of stroke {stroke} has the timestamp {timestamp}, which no clock shows."""

    remedy = "Send milliseconds, from 0 to 2^53."


class CodecError(Invalid):
    """These bytes are not a stroke payload."""

    remedy = "Encode drawings with stroke codec version 1."


class UnknownCodecVersion(CodecError):
    """Stroke payloads of version {version} are not known here."""


class PayloadTruncated(CodecError):
    """The stroke payload ends in the middle of its {part}."""


class PayloadTooLarge(CodecError):
    """The stroke payload has {size} bytes, more than {limit}."""


class PayloadMalformed(CodecError):
    """The stroke payload is malformed: {reason}."""


class BadImageSize(Invalid):
    """There are no such pictures of {size_px} px a side."""

    remedy = "Ask for {least} to {most} px."


class ImportedDrawing(Input, frozen=True, kw_only=True):
    """A drawing that somebody made elsewhere."""

    contributor: Annotated[str, Meta(min_length=1, max_length=64)]
    drawing: NewDrawing


class DrawingImport(Input, frozen=True, kw_only=True):
    """Up to 200 drawings from one source; their contributors are the source's own."""

    origin: Name
    drawings: Annotated[list[ImportedDrawing], Meta(min_length=1, max_length=200)]
