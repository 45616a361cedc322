"""Pictures for the tests of this folder: discs, crosses and bars, of any size, in any format."""

import io
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

KINDS = ("bars", "cross", "disc")
SCHEMA = pa.schema(
    {
        "record_id": pa.string(),
        "label": pa.string(),
        "contributor": pa.string(),
        "payload": pa.binary(),
        "media_type": pa.string(),
    }
)


def drawn(kind: str, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Gray pixels of the thing, somewhere near the middle, light on dark, with noise."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] + rng.normal(0, 0.15, (2, 1, 1))
    shape = {
        "disc": x**2 + y**2 < 0.4,
        "cross": (abs(x) < 0.2) | (abs(y) < 0.2),
        "bars": np.sin(9 * x + rng.uniform(0, 6)) > 0,
    }[kind]
    noisy = 60 + 120 * shape + rng.normal(0, 15, shape.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, format: str = "PNG") -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def stage(
    folder: Path,
    sizes: dict[str, int],
    kinds: Sequence[str] = KINDS,
    *,
    size: tuple[int, int] = (16, 20),
) -> Path:
    """Write `<split>.parquet` with that many gray PNG pictures of each kind."""
    rng = np.random.default_rng(7)
    for split, each in sizes.items():
        pictures = [(kind, encoded(drawn(kind, rng, *size))) for kind in kinds for _ in range(each)]
        write(folder / f"{split}.parquet", pictures)
    return folder


def write(file: Path, pictures: Sequence[tuple[str, bytes]]) -> None:
    """Write one staged split of labels and payloads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(pictures))
    rows = [
        {
            "record_id": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
            "label": label,
            "contributor": "",
            "payload": payload,
            "media_type": "image/png",
        }
        for label, payload in pictures
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file)
