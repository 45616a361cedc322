"""Bringing in drawings that were made elsewhere, so that it can be stopped and done again.

A drawing has an id made from its source, so sending it again stores nothing twice: the server, not
a file of this machine, says what it has already.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from volano.schemas.accounts import NameTaken
from volano.schemas.common import InvalidValues
from volano.schemas.datasets import Outcome
from volano.schemas.drawings import ImportedDrawing
from volano.schemas.errors import Invalid, TooMuch, VolanoError
from volano.sdk.transport import NotVolano

if TYPE_CHECKING:
    from volano.sdk.client import Client

BATCH: Final = 100
"""Drawings in one request; the server takes up to 200."""

BATCH_BYTES: Final = 1_000_000
"""What a proxy lets through unless it is told otherwise; a server takes eight times as much."""

_TOO_LARGE: Final = 413
_WHICH: Final = re.compile(r"body\.drawings\[(\d+)\]")


def send(
    client: "Client",
    origin: str,
    drawings: Iterable[ImportedDrawing],
    *,
    batch: int = BATCH,
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[list[Outcome]]:
    """Send drawings in batches; yield what became of each batch once it is stored.

    Shapes that the server lacks are added. A drawing that the server cannot take is refused by
    itself and the others go on. Raises: what the server refuses every drawing with.
    """
    known = {shape.name for shape in client.shapes.ls()}
    for some in _batches(drawings, batch, batch_bytes):
        for name in sorted({one.drawing.shape for one in some} - known):
            # Just added by somebody else; or it is no name, then its drawings are refused.
            with suppress(NameTaken, Invalid):
                client.shapes.add(name)
            known.add(name)
        yield _import(client, origin, some)


def _import(client: "Client", origin: str, drawings: Sequence[ImportedDrawing]) -> list[Outcome]:
    """Import a batch; do without the drawing that spoils it, halve it where it is too large."""
    if not drawings:
        return []
    try:
        return client.drawings.import_from(origin, drawings)
    except InvalidValues as error:
        if not (found := _WHICH.match(error.facts.get("at", ""))):
            raise
        bad = int(found[1])
        before, after = drawings[:bad], drawings[bad + 1 :]
        rest = _import(client, origin, [*before, *after])
        return [*rest[:bad], _refused(drawings[bad], error), *rest[bad:]]
    except (TooMuch, NotVolano) as error:  # NotVolano: a proxy in front of the server has a limit
        if error.facts.get("status", error.status) != _TOO_LARGE:
            raise
        if len(drawings) == 1:
            return [_refused(drawings[0], error)]
        half = len(drawings) // 2
        return [
            *_import(client, origin, drawings[:half]),
            *_import(client, origin, drawings[half:]),
        ]


def _refused(one: ImportedDrawing, error: VolanoError) -> Outcome:
    return Outcome(
        id=one.drawing.id,
        stored=False,
        code=error.code,
        detail=error.message,
        remedy=error.advice,
    )


def _batches(
    drawings: Iterable[ImportedDrawing], most: int, most_bytes: int
) -> Iterator[list[ImportedDrawing]]:
    batch: list[ImportedDrawing] = []
    size = 0
    for one in drawings:
        length = len(msgspec.json.encode(one))
        if batch and (len(batch) == most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
