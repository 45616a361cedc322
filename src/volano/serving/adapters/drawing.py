"""Drawings: what was sent as the graph takes it and as the log keeps it.

What the graph sees is made by the very steps that training takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volano.data import service as data
from volano.data.formats import drawings as wire
from volano.data.formats import line_segments, packing
from volano.data.formats import strokes as codec
from volano.data.formats.packing import STEPS_PER_PX, Frame, Ints, Values
from volano.data.formats.strokes import Strokes
from volano.schemas.common import Json
from volano.schemas.drawings import TooManyPoints
from volano.schemas.errors import Conflict, Invalid, Missing, TooMuch, VolanoError
from volano.schemas.registry import ArtefactRefused, DrawingSpec
from volano.schemas.serving import DrawingInput, InputUnusable, PredictInput, WrongInput

if TYPE_CHECKING:
    from volano.core.compute import WorkerPool
    from volano.core.context import Context
    from volano.schemas.accounts import Who

Floats = NDArray[np.float32]
GraphInputs = dict[str, NDArray[Any]]

MOST_POINTS = codec.MAX_BYTES // 16
"""In one drawing, whatever the settings allow: a point takes at most 14 bytes of a payload."""

_FARTHEST_PX = 1e6
_LATEST_MS = 2**53
_LONGEST_MS = 2**32 - 1
_STEPS = np.array([[STEPS_PER_PX], [STEPS_PER_PX], [1.0]])
_PASS = 2048
"""Points packed in one pass: few enough for the processor's cache, enough to hide a call's cost."""


class Drawing(NamedTuple):
    """One drawing of a request, in the units of the stroke codec: sound, and not packed yet."""

    steps: Ints
    """(3, points): x and y in quarter px, and ms that never fall."""
    frame: Frame

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.steps.nbytes


@dataclass(frozen=True, slots=True)
class DrawingInputs:
    """Feeds a graph that takes `segments` (drawings, longest, 4) and `count` (drawings,)."""

    spec: DrawingSpec

    def check(self, facts: Json) -> None:
        """Raise ArtefactRefused where no drawing can be cut so."""
        if self.spec.tolerance <= 0 or self.spec.max_segments < 1:
            raise ArtefactRefused(reason="it does not say how to cut a drawing into segments")

    async def read(
        self, ctx: Context, who: Who, given: Sequence[PredictInput]
    ) -> list[Drawing | VolanoError]:
        """Return each drawing as the stroke codec holds it, or why there is none."""
        most_points = ctx.settings.drawing_max_points
        found: list[Drawing | VolanoError] = []
        for one in given:
            try:
                sent = one if one.record is None else await _stored(ctx, who, one.record)
                found.append(read(sent, most_points))
            except (Invalid, Missing, Conflict, TooMuch) as error:
                found.append(error)
        return found

    def feed(self, given: Sequence[Drawing]) -> GraphInputs:
        """Return drawings as the graph takes them."""
        spec = self.spec
        return padded(
            [
                line_segments.segments(
                    Strokes(
                        xy=one.steps[:2].T.astype(np.float32) / np.float32(STEPS_PER_PX),
                        t=one.steps[2] - one.steps[2, 0],
                        starts=np.array([0, *accumulate(one.frame.counts)], np.int32),
                        width=one.frame.width,
                        height=one.frame.height,
                    ),
                    tolerance=spec.tolerance,
                    max_segments=spec.max_segments,
                )
                for one in given
            ]
        )

    async def golden(self, ctx: Context, given: Any) -> GraphInputs:
        """Return a golden input of a version, its segments, as the graph takes it.

        Raises: ArtefactRefused.
        """
        try:
            return padded([np.array(given, np.float32)])
        except (TypeError, ValueError) as error:
            raise ArtefactRefused(reason=f"a golden input is no drawing: {error}") from None


async def _stored(ctx: Context, who: Who, id: str) -> DrawingInput:
    record, payload = await data.payload(ctx, who, id)
    if record.kind != "drawing":
        raise WrongInput(takes="a drawing", given=f"a record of the kind {record.kind!r}")
    return shown(payload)


def read(given: PredictInput | DrawingInput, most_points: int) -> Drawing:
    """Read a drawing as the stroke codec holds it, so that graph and log see the same.

    Raises: WrongInput, InputUnusable, TooManyPoints (to cut it up would hold up everybody else).
    """
    if given.canvas is None or given.strokes is None:
        raise WrongInput(takes="a drawing, with canvas and strokes", given="something else")
    counts = [len(stroke.points) for stroke in given.strokes]
    if sum(counts) > (limit := min(most_points, MOST_POINTS)):
        raise TooManyPoints(points=sum(counts), limit=limit)
    if 0 in counts:
        raise InputUnusable(reason=f"stroke {counts.index(0)} has no points")
    width, height = given.canvas.width, given.canvas.height
    if not (0 < width <= _FARTHEST_PX and 0 < height <= _FARTHEST_PX):
        raise InputUnusable(reason=f"nothing can be drawn on {width} x {height} px")
    columns = np.empty((3, sum(counts)))
    points = list(chain.from_iterable([stroke.points for stroke in given.strokes]))
    pressure, _ = packing.fill(columns, points)
    _check(columns)
    steps = np.floor(columns * _STEPS + 0.5).astype(np.int64)
    np.maximum.accumulate(steps[2], out=steps[2])
    colors = [stroke.color for stroke in given.strokes]
    widths = [stroke.width for stroke in given.strokes]
    frame = Frame(
        counts=counts,
        width=width,
        height=height,
        device="unknown",
        styles=packing.styles(colors, widths, len(counts)),
        pressure=b"" if pressure is None else packing.pressures(pressure, len(points)),
    )
    return Drawing(steps, frame)


def _check(columns: Values) -> None:
    left, top, first = np.minimum.reduce(columns, axis=1).tolist()
    right, bottom, last = np.maximum.reduce(columns, axis=1).tolist()
    # Not `>`: a comparison with NaN is false, so these refuse NaN and infinity too.
    if not all(-_FARTHEST_PX <= end <= _FARTHEST_PX for end in (left, top, right, bottom)):
        raise InputUnusable(reason="a coordinate is not a finite number of pixels")
    if not (first >= 0 and last <= _LATEST_MS):
        raise InputUnusable(reason="a timestamp is not a number of milliseconds from 0 to 2^53")
    if last - first > _LONGEST_MS:
        raise InputUnusable(reason="it takes longer than seven weeks")


def padded(cut: Sequence[Floats]) -> GraphInputs:
    """Return drawings of (n, 4) segments as one array, with zeros behind the shorter ones."""
    count = np.array([len(one) for one in cut], np.int32)
    if len(cut) == 1:
        return {"segments": cut[0][None], "count": count}
    whole = np.zeros((len(cut), int(count.max()), 4), np.float32)
    for row, one in zip(whole, cut, strict=True):
        row[: len(one)] = one
    return {"segments": whole, "count": count}


def shown(payload: bytes) -> DrawingInput:
    """Return a logged drawing as it is shown."""
    given = wire.decode(payload)
    return DrawingInput(canvas=given.canvas, strokes=given.strokes)


def media_type(payload: bytes) -> str:
    """Return the media type of a logged drawing."""
    return "application/vnd.volano.strokes"


async def payloads(decoders: WorkerPool, given: Sequence[Drawing]) -> list[bytes]:
    """Return the payloads of drawings; between passes of about 0.1 ms requests come first."""
    packed: list[bytes] = []
    for some in passes(given):
        packed += some
        await asyncio.sleep(0)
    return packed


def passes(given: Sequence[Drawing]) -> Iterator[list[bytes]]:
    """Yield the payloads of drawings, in order and some at a time."""
    begin, points = 0, 0
    for end, one in enumerate(given, 1):
        points += one.steps.shape[1]
        if points >= _PASS or end == len(given):
            steps = np.concatenate([each.steps for each in given[begin:end]], axis=1)
            yield packing.pack(steps, [each.frame for each in given[begin:end]])
            begin, points = end, 0
