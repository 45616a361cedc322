"""The prediction log: written behind the answer, so a crash loses at most its last moments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
import pyarrow as pa

from volano.core.metrics import Metrics
from volano.core.segments.inbox import Inbox, Row
from volano.data.formats import drawings as wire
from volano.schemas.errors import VolanoError
from volano.schemas.serving import DrawingInput, LoggedPrediction, Prediction
from volano.serving import drawings
from volano.serving.drawings import Drawing

STREAM = "predictions"

MOST_WAITING = 20_000
"""Predictions that wait for a commit; beyond that the newest are counted, not kept."""

MOST_WAITING_BYTES = 64 << 20
"""Bytes of their drawings."""


class LoggedFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of a logged prediction; fields are only ever added at the end."""

    endpoint: str
    version: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    label: str
    confidence: float
    scores: dict[str, float]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LoggedFacts).decode

_UNSEEN = b""
"""Content of a row: its key is made here and never sent again, so nothing is compared with it."""


class Answer(NamedTuple):
    """One prediction that is to be logged, with what it was made from."""

    endpoint: str
    version: str
    at: datetime
    prediction: Prediction
    drawing: Drawing


class PredictionLog:
    """Keeps predictions in memory for at most `interval_s`, then commits them together."""

    def __init__(self, inbox: Inbox, metrics: Metrics, *, interval_s: float) -> None:
        self.inbox, self.interval_s = inbox, interval_s
        self._lost = metrics.counter(
            "volano_predictions_unlogged_total", "Predictions that could not be logged."
        )
        self._waiting: dict[str, list[Answer]] = {}
        self._count = self._bytes = 0
        self._flushing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, workspace: str, answer: Answer) -> None:
        """Log one prediction; returns at once."""
        if self._count >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            self._lost.add()
            return
        self._waiting.setdefault(workspace, []).append(answer)
        self._count += 1
        self._bytes += answer.drawing.steps.nbytes
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_later(), name="prediction log")

    async def close(self) -> None:
        """Commit what waits."""
        self._closing.set()
        if self._flushing is not None:
            await self._flushing
        await self.inbox.close()

    async def flush(self) -> None:
        """Commit all that was added until now; what cannot be stored is counted."""
        waiting, self._waiting = self._waiting, {}
        self._count = self._bytes = 0
        # Together, so that no workspace waits for another one's database.
        await asyncio.gather(*(self._store(*one) for one in waiting.items()))

    async def _store(self, workspace: str, answers: Sequence[Answer]) -> None:
        try:
            made_ms = int(answers[-1].at.timestamp() * 1000)
            await self.inbox.append(workspace, await _rows(answers), now_ms=made_ms)
        except VolanoError:
            self._lost.add(by=len(answers))

    async def _flush_later(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval_s):
                    await self._closing.wait()
            await self.flush()


async def _rows(answers: Sequence[Answer]) -> list[Row]:
    rows: list[Row] = []
    for payloads in drawings.payloads([answer.drawing for answer in answers]):
        for payload in payloads:
            endpoint, version, at, made, _ = answers[len(rows)]
            facts = LoggedFacts(endpoint, version, at, made.label, made.confidence, made.scores)
            rows.append(Row(made.id, _UNSEEN, _encode(facts), payload, subject=version))
        await asyncio.sleep(0)  # requests come first
    return rows


def read(row: Row) -> LoggedFacts:
    """Return the facts of a logged prediction. Raises: msgspec.MsgspecError."""
    return _decode(row.head)


def table(rows: Sequence[Row], facts: Sequence[LoggedFacts]) -> pa.Table:
    """Return logged predictions as a segment, sorted by id so that one is found by statistics."""
    pairs = sorted(zip(rows, facts, strict=True), key=lambda pair: pair[0].key)
    ordered, facts = [row for row, _ in pairs], [one for _, one in pairs]
    return pa.table(
        {
            "id": [row.key for row in ordered],
            "endpoint": [one.endpoint for one in facts],
            "version": [one.version for one in facts],
            "at": pa.array([one.at for one in facts], pa.timestamp("ms", "UTC")),
            "label": [one.label for one in facts],
            "confidence": pa.array([one.confidence for one in facts], pa.float32()),
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
    """Return a logged prediction as it is shown."""
    facts, given = _decode(head), wire.decode(payload)
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
