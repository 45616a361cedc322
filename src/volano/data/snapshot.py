"""What a snapshot is made of: its lines, its hash, what is wrong with it. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from volano.schemas import data as schemas

LINES = pa.schema(
    {
        "record": pa.string(),
        "content": pa.binary(),
        "label": pa.string(),
        "contributor": pa.string(),
        "segment": pa.string(),
        "row": pa.int32(),
        "given": pa.string(),
        "group": pa.string(),
    }
)
"""One record of a snapshot, where its payload stands, and the split and the group it came with.

The list is sorted by record.
"""

_STORED = ("record", "content", "label", "contributor", "split", "segment", "row")
MANIFEST = pa.schema(
    [LINES.field(name) if name != "split" else pa.field("split", pa.string()) for name in _STORED]
)
"""The same with their splits, as a snapshot is stored: membership is one range look-up."""

_SCHEMA = b"volano snapshot 1"
_NAMED = 8  # labels that a warning names
_PAIRS = 3  # contents in several splits that it names
_WHY_EMPTY = {
    "contributor": "too few contributors; `--split-by content` divides the records of one",
    "group": "too few groups; `--split-by content` divides the records of one",
    "content": "too few records that differ",
    "record": "too few records that differ",
    "given": "no record came so, and too few came without a split",
    "none": "with `--split-by none` all records train",
}

_HEX = np.array([list(b"%02x" % byte) for byte in range(256)], np.uint8)
_DASHES = (8, 13, 18, 23)
_DIGITS = np.array([at for at in range(36) if at not in _DASHES])


def lines(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Return rows of (16 bytes of the id, and the columns of LINES behind it) as lines."""
    ids, *columns = zip(*rows, strict=True)
    arrays = [_texts(b"".join(ids))]
    arrays += map(pa.array, columns, LINES.types[1:])
    return pa.record_batch(arrays, schema=LINES)


def _texts(ids: bytes) -> pa.Array:
    """Return UUIDs as texts, all at once: one by one that takes as long as the rest of a line."""
    count = len(ids) // 16
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, _DIGITS] = _HEX[np.frombuffer(ids, np.uint8)].reshape(count, 32)
    ends = np.arange(0, 36 * (count + 1), 36, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


class Digest:
    """Hash the sorted (record, content, label, split) by blake3: equal lists, equal hashes."""

    def __init__(self) -> None:
        self._hasher = blake3(_SCHEMA)

    def add(self, some: pa.RecordBatch) -> None:
        """Go on with the next lines of a manifest."""
        parts = ["\n", some["record"], "\0", some["label"], "\0", some["split"], "\0"]
        texts = pc.binary_join_element_wise(*parts, "")
        joined = pc.binary_join_element_wise(texts.cast(pa.binary()), some["content"], b"")
        _, ends, values = joined.buffers()
        size = np.frombuffer(ends, np.int32)[joined.offset + len(joined)]
        self._hasher.update(memoryview(values)[:size])

    def hex(self) -> str:
        """Return the hash of all lines."""
        return self._hasher.hexdigest()


def warnings(frozen: schemas.Snapshot) -> list[str]:
    """Say what a model that is trained on a snapshot cannot learn, and what nothing measures."""
    found = []
    if len(frozen.labels) == 1:
        found.append(f"All records have one label, {frozen.labels[0]!r}: nothing to tell apart.")
    if unlearnt := frozen.missing.get("train"):
        found.append(f"No model can learn {_some(unlearnt)}: nothing of it trains.")
    for split, verb in (("valid", "validates"), ("test", "tests")):
        if not frozen.by_split[split]:
            found.append(f"Nothing {verb}: {_WHY_EMPTY[frozen.split.by]}.")
    if shared := frozen.overlap.contents:
        pairs = "; ".join(" = ".join(ids) for ids in frozen.overlap.records[:_PAIRS])
        found.append(
            f"Of {shared} contents there are records in several splits, as they came, so figures "
            f"on them say too much: {pairs}."
        )
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, islice(names, _NAMED)))
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def line(values: dict[str, Any], *, deleted: bool) -> schemas.SnapshotRecord:
    """Return one row of a manifest as it is shown."""
    return schemas.SnapshotRecord(
        id=values["record"],
        content=values["content"].hex(),
        label=values["label"],
        contributor=values["contributor"],
        split=values["split"],
        deleted=deleted,
    )
