"""The prediction log: written behind the answer, so a crash loses at most its last moments.

On an endpoint that is durable the answer waits for it instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import pyarrow as pa
from blake3 import blake3

from volano.core.metrics import Metrics
from volano.core.segments.inbox import Inbox, Row
from volano.schemas.blobs import BlobId
from volano.schemas.errors import VolanoError
from volano.schemas.serving import (
    ClassesPrediction,
    Feedback,
    LoggedPrediction,
    Prediction,
    ValuePrediction,
)
from volano.serving import store
from volano.serving.adapters import KINDS

if TYPE_CHECKING:
    from volano.core.blobs import Blobs
    from volano.core.compute import WorkerPool

STREAM = "predictions"

MOST_WAITING = 20_000
"""Predictions that wait for a commit; beyond that the newest are counted, not kept."""

MOST_WAITING_BYTES = 64 << 20
"""Bytes of their inputs."""

LARGEST_IN_ROW = 256 << 10
"""Bytes of an input that ride with its row; larger ones are blobs."""


class LoggedFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of a logged prediction; fields are only ever added at the end."""

    endpoint: str
    version: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    label: str
    """Empty where no class was predicted."""
    confidence: float
    scores: dict[str, float]
    kind: str = "drawing"
    """Of the input."""
    content: str = ""
    """Hash of the input's payload, hex; empty in rows that are older than this field."""
    value: float | None = None
    blob: str = ""
    """Where the payload is, if it is too large for a row."""


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
    item: Any
    """What an adapter read; its `size` are bytes in memory."""
    keeps_input: bool = True


class PredictionLog:
    """Keeps predictions in memory for at most `interval_s`, then commits them together."""

    def __init__(
        self,
        inbox: Inbox,
        blobs: Blobs,
        decoders: WorkerPool,
        metrics: Metrics,
        *,
        interval_s: float,
    ) -> None:
        self.inbox, self.blobs, self.decoders = inbox, blobs, decoders
        self.interval_s = interval_s
        self._lost = metrics.counter(
            "volano_predictions_unlogged_total", "Predictions that could not be logged."
        )
        self._waiting: dict[str, list[Answer]] = {}
        self._count = self._bytes = 0
        self._flushing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, workspace: str, answers: Sequence[Answer]) -> None:
        """Log predictions; return at once."""
        for answer in answers:
            if self._count >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
                self._lost.add()
                continue
            self._waiting.setdefault(workspace, []).append(answer)
            self._count += 1
            self._bytes += answer.item.size
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
        await asyncio.gather(*(self._try_to_store(*one) for one in waiting.items()))

    async def _try_to_store(self, workspace: str, answers: Sequence[Answer]) -> None:
        try:
            await self.store(workspace, answers)
        except VolanoError:
            self._lost.add(by=len(answers))

    async def store(self, workspace: str, answers: Sequence[Answer]) -> None:
        """Log predictions; return once they are committed.

        Raises: Overloaded, DatabaseUnavailable, StorageFull, BlobsUnavailable.
        """
        if not answers:
            return
        payloads = await _payloads(self.decoders, answers)
        rows: list[Row] = []
        large: dict[str, BlobId] = {}
        for answer, payload in zip(answers, payloads, strict=True):
            blob: BlobId | None = None
            if answer.keeps_input and len(payload) > LARGEST_IN_ROW:
                blob = large[answer.prediction.id] = await self.blobs.put(workspace, payload)
            kept = payload if answer.keeps_input and blob is None else b""
            facts = _facts(answer, blake3(payload).hexdigest(), blob or "")
            rows.append(Row(answer.prediction.id, _UNSEEN, facts, kept, subject=answer.version))
        if large:  # first, so that no sweep takes what a row names
            async with self.inbox.db.begin(workspace) as tx:
                await store.add_inputs(tx, large)
        made_ms = int(answers[-1].at.timestamp() * 1000)
        await self.inbox.append(workspace, rows, now_ms=made_ms)

    async def _flush_later(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval_s):
                    await self._closing.wait()
            await self.flush()


async def _payloads(decoders: WorkerPool, answers: Sequence[Answer]) -> list[bytes]:
    """Return the payload of each input; those of one kind together, as that is faster."""
    found: dict[int, bytes] = {}
    for kind in KINDS.values():
        chosen = [n for n, answer in enumerate(answers) if isinstance(answer.item, kind.item)]
        if chosen:
            packed = await kind.payloads(decoders, [answers[n].item for n in chosen])
            found |= dict(zip(chosen, packed, strict=True))
    return [found[n] for n in range(len(answers))]


def _facts(answer: Answer, content: str, blob: str) -> bytes:
    match answer.prediction:
        case ClassesPrediction(label=label, confidence=confidence, scores=scores):
            said = (label, confidence, scores)
            value = None
        case ValuePrediction(value=value):
            said = ("", 0.0, {})
    kind = next(name for name, kind in KINDS.items() if isinstance(answer.item, kind.item))
    head = (answer.endpoint, answer.version, answer.at)
    return _encode(LoggedFacts(*head, *said, kind, content, value, blob))


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


@dataclass(frozen=True, slots=True)
class Logged:
    """A prediction as a row has it."""

    facts: LoggedFacts
    payload: bytes
    """Of the input; empty where it is not kept, or too large for a row."""

    def shown(self, id: str, payload: bytes, feedback: list[Feedback]) -> LoggedPrediction:
        """Return it as it is shown; `payload` may come from a blob."""
        facts = self.facts
        return LoggedPrediction(
            id=id,
            endpoint=facts.endpoint,
            version=facts.version,
            at=facts.at,
            label=facts.label or None,
            confidence=facts.confidence if facts.label else None,
            scores=facts.scores or None,
            value=facts.value,
            content=facts.content or blake3(payload).hexdigest(),
            input=KINDS[facts.kind].shown(payload) if payload else None,
            feedback=feedback,
        )


def logged(head: bytes, payload: bytes) -> Logged:
    """Return what a row has of a prediction."""
    return Logged(_decode(head), payload)
