"""The prediction log: written behind the answer, so a crash loses at most its last moments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
import pyarrow as pa

from volano.core.metrics import Metrics
from volano.core.segments.inbox import Inbox, Row
from volano.data.formats import drawings
from volano.schemas.errors import VolanoError
from volano.schemas.serving import DrawingInput, LoggedPrediction, Prediction

STREAM = "predictions"
_LIMIT = 20_000  # predictions that wait for a commit; beyond that the newest are counted, not kept


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of a logged prediction; fields are only ever added at the end."""

    endpoint: str
    version: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    label: str
    confidence: float
    scores: dict[str, float]


_encode = msgspec.msgpack.Encoder().encode
_head = msgspec.msgpack.Decoder(Head).decode

_UNSEEN = b""
"""Content of a row: its key is made here and never sent again, so nothing is compared with it."""


class PredictionInbox(Inbox):
    """The inbox of predictions in this process."""


class PredictionLog:
    """Keeps predictions in memory for at most `interval_s`, then commits them together."""

    def __init__(self, inbox: PredictionInbox, metrics: Metrics, *, interval_s: float) -> None:
        self.inbox, self.interval_s = inbox, interval_s
        self._lost = metrics.counter(
            "volano_predictions_unlogged_total", "Predictions that could not be logged."
        )
        self._waiting: dict[str, list[Row]] = {}
        self._count = 0
        self._flush: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, workspace: str, head: Head, prediction: str, payload: bytes) -> None:
        """Log one prediction with its input's stroke payload; returns at once."""
        if self._count >= _LIMIT:
            self._lost.add()
            return
        row = Row(prediction, _UNSEEN, _encode(head), payload, subject=head.version)
        self._waiting.setdefault(workspace, []).append(row)
        self._count += 1
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_later(), name="prediction log")

    async def close(self) -> None:
        """Commit what waits."""
        self._closing.set()
        if self._flush is not None:
            await self._flush
        await self.inbox.close()

    async def flush(self) -> None:
        """Commit everything that was added until now; what cannot be stored is counted."""
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for workspace, rows in waiting.items():
            try:
                await self.inbox.append(workspace, rows, now_ms=_now_ms(rows))
            except VolanoError:
                self._lost.add(by=len(rows))

    async def _flush_later(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval_s):
                    await self._closing.wait()
            await self.flush()


def _now_ms(rows: Sequence[Row]) -> int:
    return int(_head(rows[-1].head).at.timestamp() * 1000)


def read(row: Row) -> Head:
    """Return the facts of a logged prediction. Raises: msgspec.MsgspecError."""
    return _head(row.head)


def table(rows: Sequence[Row], heads: Sequence[Head]) -> pa.Table:
    """Return logged predictions as a segment, sorted by id so that one is found by statistics."""
    pairs = sorted(zip(rows, heads, strict=True), key=lambda pair: pair[0].key)
    ordered, heads = [row for row, _ in pairs], [head for _, head in pairs]
    return pa.table(
        {
            "id": [row.key for row in ordered],
            "endpoint": [head.endpoint for head in heads],
            "version": [head.version for head in heads],
            "at": pa.array([head.at for head in heads], pa.timestamp("ms", "UTC")),
            "label": [head.label for head in heads],
            "confidence": pa.array([head.confidence for head in heads], pa.float32()),
            "head": [row.head for row in ordered],
            "input": [row.payload for row in ordered],
        }
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """What a version has answered: the ids of its latest predictions, and how many in all."""

    ids: list[str]
    total: int


def logged(id: str, head: bytes, payload: bytes) -> LoggedPrediction:
    """A logged prediction as it is shown."""
    facts, given = _head(head), drawings.decode(payload)
    return LoggedPrediction(
        id=id,
        endpoint=facts.endpoint,
        version=facts.version,
        at=facts.at,
        label=facts.label,
        confidence=facts.confidence,
        scores=facts.scores,
        input=DrawingInput(canvas=given.canvas, strokes=given.strokes),
    )


def head_of(endpoint: str, version: str, at: datetime, made: Prediction) -> Head:
    """The facts of a prediction that is to be logged."""
    return Head(endpoint, version, at, made.label, made.confidence, made.scores)
