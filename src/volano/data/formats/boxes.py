"""Boxes as every format gives them, brought to one form and checked.

A box is [x0, y0, x1, y1] in px from the top left corner of the picture after its orientation.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from volano.data.formats.image_header import Size, measure
from volano.data.formats.items import Skipped, label_of
from volano.data.formats.tree import Tree, beside, shown
from volano.schemas.errors import VolanoError
from volano.schemas.imports import BoxCut, BoxRefused, FileNotListed, FileNotRead

NAME: Final = "boxes"
"""Of the attribute that keeps them."""

_ROUNDING_PX: Final = 1.5
"""Tools that count from 0 or from 1 differ by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box as it was drawn, its corners in px."""

    label: str
    corners: tuple[float, float, float, float]
    crowd: bool = False
    """It stands for many that were not drawn one by one."""


def size_of(tree: Tree, path: str) -> Size | None:
    """Return the size of a picture; None where it does not tell. Raises: VolanoError."""
    return measure(tree.head(path)) or measure(tree.read(path))


def checked(
    boxes: Iterable[Box], size: Size | None, name: str
) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Return the boxes as an attribute keeps them, and which were left out or cut."""
    kept: list[dict[str, Any]] = []
    problems: list[Skipped] = []
    for number, box in enumerate(boxes, 1):
        try:
            corners, reason = _within(box.corners, size)
            if corners is None:
                raise BoxRefused(number=number, name=name, reason=reason)
            label = label_of(box.label, name)
        except VolanoError as error:
            problems.append(Skipped(locator=name, error=error, loss="part"))
            continue
        if reason:
            cut = BoxCut(number=number, name=name, reason=reason)
            problems.append(Skipped(locator=name, error=cut, loss="note"))
        one: dict[str, Any] = {"label": label, "box": corners}
        kept.append(one | {"crowd": True} if box.crowd else one)
    return kept, problems


def _within(
    corners: tuple[float, float, float, float], size: Size | None
) -> tuple[list[float] | None, str]:
    """Return the corners inside of the picture, and what was wrong; no corners if it is no box."""
    x0, y0, x1, y1 = corners
    told = f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    if not all(map(math.isfinite, corners)):
        return None, f"{told} is not finite"
    if x1 <= x0 or y1 <= y0:
        return None, f"{told} has no area"
    reason = ""
    if size is not None:
        beyond = max(-x0, -y0, x1 - size.width, y1 - size.height)
        if beyond > _ROUNDING_PX:
            reason = f"{told} leaves the picture of {size.width} x {size.height} px"
        x0, x1 = max(0.0, x0), min(float(size.width), x1)
        y0, y1 = max(0.0, y0), min(float(size.height), y1)
        if x1 <= x0 or y1 <= y0:
            return None, reason or f"{told} has no area"
    return [round(value, 3) for value in (x0, y0, x1, y1)], reason


def rest(tree: Tree, read: set[str], pictures: frozenset[str]) -> Iterator[Skipped]:
    """Report the files that were not read: pictures of which nothing is known, and others."""
    for file in tree.files:
        if file.path in read:
            continue
        name = shown(file.path)
        if is_mask(file.path):
            mask = FileNotRead(name=name, reason="it is the mask of a picture")
            yield Skipped(locator=name, error=mask, loss="none")
        elif file.path.rpartition(".")[2].lower() in pictures:
            yield Skipped(locator=name, error=FileNotListed(name=name))
        else:
            yield beside(file.path, "nothing of what is imported is in it")


def is_mask(path: str) -> bool:
    """Return whether a picture only tells what is where on another."""
    folders = path.lower().split("/")[:-1]
    return any(part.startswith(("segmentation", "panoptic", "masks")) for part in folders)
