"""Drawings for the tests of this folder: five shapes by shaky hands, and real ones."""

import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volano.data.formats import detect, drawings, strokes
from volano.data.formats.items import Item, Options

SCHEMA = pa.schema(
    {
        "record_id": pa.string(),
        "label": pa.string(),
        "contributor": pa.string(),
        "payload": pa.binary(),
    }
)
TURN = np.linspace(0, 2 * np.pi, 40)

SHAPES = {
    "circle": [np.stack([np.cos(TURN), np.sin(TURN)], 1)],
    "square": [np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)], float)],
    "triangle": [np.array([(0, -1), (1, 1), (-1, 1), (0, -1)], float)],
    "cross": [np.array([(-1, -1), (1, 1)], float), np.array([(1, -1), (-1, 1)], float)],
    "star": [np.array([(np.sin(k * 2.513), -np.cos(k * 2.513)) for k in range(6)], float)],
}


def drawn(shape: str, rng: np.random.Generator) -> strokes.Strokes:
    """The shape on a canvas of 400 px, turned, stretched and shaken."""
    angle, side = rng.normal(0, 0.1), rng.uniform(50, 120, 2)
    matrix = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) * side
    lines = [line @ matrix + 200 + rng.normal(0, 2, line.shape) for line in SHAPES[shape]]
    xy = np.concatenate(lines).astype(np.float32)
    return strokes.Strokes(
        xy=xy,
        t=np.arange(len(xy), dtype=np.int64) * 8,
        starts=np.cumsum([0, *map(len, lines)]).astype(np.int32),
        width=400,
        height=400,
    )


def stage(folder: Path, sizes: dict[str, int], shapes: list[str] | None = None) -> Path:
    """Write `<split>.parquet` with that many drawings of each shape."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    for split, each in sizes.items():
        rows = [
            {
                "record_id": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
                "label": shape,
                "contributor": f"{split}-{number % 4}",
                "payload": strokes.encode(drawn(shape, rng)),
            }
            for shape in shapes or SHAPES
            for number in range(each)
        ]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / f"{split}.parquet")
    return folder


def omniglot_drawings(folder: Path, each: int) -> list[strokes.Strokes]:
    """Every `each`-th real drawing of the archive in `folder`."""
    source = detect.open_source(folder / "strokes_background_small1.zip")
    found = [i.drawing for i in detect.read(source, "omniglot", Options()) if isinstance(i, Item)]
    return [strokes.decode(drawings.encode(one.drawing).payload) for one in found[::each]]
