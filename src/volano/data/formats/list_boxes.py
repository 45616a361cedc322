"""Boxes in lists: one row a box, its corners in four columns, in px or in shares of the picture.

    filename,width,height,class,xmin,ymin,xmax,ymax         (TensorFlow, Roboflow)
    image_path,xmin,ymin,xmax,ymax,label                    (RetinaNet, DeepForest)
    ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax (Open Images: shares)

A row with a file and no corners says that there is nothing on it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from volano.data.formats import boxes
from volano.data.formats.boxes import Box
from volano.data.formats.image_header import Size
from volano.data.formats.items import Skipped
from volano.data.formats.rows import Row
from volano.schemas.imports import BoxRefused, NothingKnown

_NAMES: Final = (
    ("xmin", "x_min", "x1", "left", "xtl"),
    ("ymin", "y_min", "y1", "top", "ytl"),
    ("xmax", "x_max", "x2", "right", "xbr"),
    ("ymax", "y_max", "y2", "bottom", "ybr"),
)
"""How the columns of the corners are called."""

Corners = tuple[float, float, float, float]


def columns_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of the four corners; none where a list has no boxes."""
    called = {column.strip().lower(): column for column in columns}
    found = tuple(next((called[name] for name in names if name in called), "") for names in _NAMES)
    return found if all(found) else ()


def are_shares(rows: Iterable[Row], columns: Sequence[str]) -> bool:
    """Return whether the corners are shares of the picture: none is above 1, and some are less."""
    numbers = [n for row in rows for n in _corners(row, columns) or ()]
    return bool(numbers) and max(numbers) <= 1 and any(0 < n < 1 for n in numbers)


def attribute(
    rows: Sequence[Row],
    columns: Sequence[str],
    label: str,
    size: Size | None,
    name: str,
    *,
    shares: bool,
) -> tuple[dict[str, Any], list[Skipped]]:
    """Return the boxes of one picture's rows as an attribute, and which cannot be ones.

    `label` is the column of the labels.
    """
    if shares and size is None:
        unknown = NothingKnown(name=name, reason="the size of the picture cannot be read")
        return {}, [Skipped(locator=name, error=unknown, loss="part")]
    drawn: list[Box] = []
    problems: list[Skipped] = []
    for number, row in enumerate(rows, 1):
        if not any(_cell(row, column) for column in columns):
            continue
        corners = _corners(row, columns)
        if corners is None:
            refused = BoxRefused(number=number, name=name, reason="a corner is no number")
            problems.append(Skipped(locator=name, error=refused, loss="part"))
            continue
        if shares and size is not None:
            x0, y0, x1, y1 = corners
            corners = x0 * size.width, y0 * size.height, x1 * size.width, y1 * size.height
        drawn.append(Box(label=_cell(row, label), corners=corners))
    kept, others = boxes.checked(drawn, size, name)
    return {boxes.NAME: kept}, problems + others


def _corners(row: Row, columns: Sequence[str]) -> Corners | None:
    try:
        x0, y0, x1, y1 = (float(_cell(row, column)) for column in columns)
    except ValueError:
        return None
    return x0, y0, x1, y1


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()
