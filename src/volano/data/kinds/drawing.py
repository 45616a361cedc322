"""Drawings: strokes of a pointer with their times."""

import msgspec

from volano.data.formats import drawings, quality, render, strokes
from volano.data.kinds.kind import Kind, Preview, Reading, Stored, rate
from volano.schemas.common import uuid7
from volano.schemas.data import Quality
from volano.schemas.datasets import ContentUnreadable, Facts
from volano.schemas.drawings import Drawing, NewDrawing
from volano.schemas.errors import VolanoError

ENCODED = "application/x-volano-strokes"
"""A payload of the stroke codec."""

_ANY = "drawing"  # a shape, which the codec does not store


def read(data: bytes, media_type: str) -> Reading:
    """Read strokes that the client has encoded, or a drawing as JSON; its id and shape are free.

    Raises: ContentUnreadable, and what drawings.encode and admit_all refuse.
    """
    if media_type == ENCODED:
        (found,) = drawings.admit_all([(str(uuid7()), data)])
        if isinstance(found, VolanoError):
            raise found
    else:
        found = drawings.encode(_given(data))
    facts: Facts = {
        "media_type": ENCODED,
        "strokes": found.strokes,
        "points": found.points,
        "duration_ms": found.duration_ms,
    }
    return Reading(found.payload, facts)


def _given(data: bytes) -> NewDrawing:
    try:
        given = msgspec.json.decode(data)
        whole = {"id": str(uuid7()), "shape": _ANY, **given} if isinstance(given, dict) else given
        return msgspec.convert(whole, NewDrawing)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ContentUnreadable(kind="drawing", reason=str(error)) from None


def preview(payload: bytes, size_px: int) -> Preview:
    """Draw a drawing as PNG."""
    return Preview("image/png", render.png(payload, size_px))


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate a drawing by its strokes; one in a blob, beside a large field, is not looked into."""
    if not payload:
        return rate()
    return quality.score(strokes.decode(payload))


def document(stored: Stored) -> Drawing:
    """Return a drawing with its strokes, and why its quality is what it is."""
    record, content = stored.record, drawings.decode(stored.payload)
    return Drawing(
        id=record.id,
        dataset=record.dataset,
        shape=record.label,
        canvas=content.canvas,
        strokes=content.strokes,
        duration_ms=float(record.facts.get("duration_ms") or 0.0),
        device=content.device,
        origin=record.origin,
        contributor=record.contributor,
        split=record.split,
        group=record.group,
        synthetic=record.synthetic,
        quality=stored.quality,
        flags=record.flags,
        captured_at=record.captured_at,
        received_at=record.received_at,
    )


DRAWING = Kind(
    name="drawing",
    media_types=("application/json", ENCODED),
    read=read,
    preview=preview,
    score=score,
    document=document,
)
