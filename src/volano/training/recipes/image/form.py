"""How large a network sees pictures, and whether in colour: read from the pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from volano.data.formats import pixels
from volano.schemas.errors import VolanoError
from volano.schemas.harness import BadData
from volano.schemas.registry import ImageSpec

LOOKED_AT = 500
"""Pictures whose size and colours are looked at, spread over all."""
KEPT_PX = 64
"""Pictures that are all of one size up to this one are seen as they are."""
MOST_PX = 96
"""Longer side that larger pictures are brought to, unless a parameter says another."""
STEP_PX = 8
"""Sides of pictures that are scaled are multiples of it."""
ONE_FORM = 1.15
"""Pictures whose proportions differ by less are stretched to one form; others get borders."""
GRAY_LEVELS = 6
"""Largest difference between the channels of a picture that counts as gray."""
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found out about one picture."""

    height: int
    width: int
    is_gray: bool


def look(file: Path) -> list[Seen]:
    """Look at about LOOKED_AT pictures of a staged file; what cannot be read is left out.

    Raises: BadData (none can be read).
    """
    total = pq.read_metadata(file).num_rows
    step = max(1, total // LOOKED_AT)
    seen = [one for n, data in enumerate(_payloads(file)) if n % step == 0 for one in _seen(data)]
    if not seen:
        raise BadData(reason=f"none of {len(range(0, total, step))} records looked at is a picture")
    return seen


def choose(seen: Sequence[Seen], size_px: int = 0) -> ImageSpec:
    """Choose the form in which a network sees such pictures; `size_px` 0 leaves the size open."""
    heights = np.array([one.height for one in seen], float)
    widths = np.array([one.width for one in seen], float)
    channels: Literal[1, 3] = 1 if all(one.is_gray for one in seen) else 3
    longest = np.maximum(heights, widths)
    one_size = len({(one.height, one.width) for one in seen}) == 1
    if one_size and not size_px and longest[0] <= KEPT_PX:
        return ImageSpec(height=seen[0].height, width=seen[0].width, channels=channels)
    side = size_px or min(MOST_PX, _in_steps(float(np.median(longest))))
    low, middle, high = np.quantile(heights / widths, (0.05, 0.5, 0.95))
    if high / low > ONE_FORM:
        return ImageSpec(height=side, width=side, channels=channels, fit="letterbox")
    return ImageSpec(
        height=side if middle >= 1 else _in_steps(side * middle),
        width=side if middle <= 1 else _in_steps(side / middle),
        channels=channels,
    )


def _payloads(file: Path) -> Iterator[bytes]:
    with pq.ParquetFile(file) as opened:
        for rows in opened.iter_batches(64, columns=["payload"]):
            yield from rows["payload"].to_pylist()


def _seen(payload: bytes) -> Iterator[Seen]:
    """Yield what there is to see of a picture, if it can be read."""
    try:
        facts = pixels.inspect(payload)
        is_gray = facts.mode.split(";")[0] in _GRAY_MODES or _has_no_colour(payload)
    except VolanoError:
        return
    yield Seen(height=facts.height, width=facts.width, is_gray=is_gray)


def _has_no_colour(payload: bytes) -> bool:
    picture = pixels.decode(payload, least_px=32).astype(np.int16)
    return int((picture.max(axis=2) - picture.min(axis=2)).max()) <= GRAY_LEVELS


def _in_steps(side: float) -> int:
    return max(STEP_PX, round(side / STEP_PX) * STEP_PX)
