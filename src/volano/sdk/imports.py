"""Bringing in drawings that were made elsewhere, so that it can be stopped and gone on with.

Drawings have ids made from their source, so sending one again stores nothing twice; the journal
only saves the time of sending.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from volano.schemas.accounts import NameTaken
from volano.schemas.data import ImportedDrawing
from volano.schemas.labeling import Outcome
from volano.sdk import config

if TYPE_CHECKING:
    from volano.sdk.client import Client

BATCH = 100
"""Drawings in one request; the server takes up to 200."""


@dataclass(kw_only=True)
class Journal:
    """How much of one file has been sent to one workspace: a small file of this user."""

    path: Path
    sent: int = 0
    """Drawings of the file, from its start, that the server has answered for."""
    refused: list[Outcome] = field(default_factory=list)

    @classmethod
    def open(
        cls, source: Path, origin: str, workspace: str, folder: Path | None = None
    ) -> "Journal":
        """The journal of this file as it is now; an empty one if it has changed since."""
        folder = folder or config.state_folder(config.environment()) / "imports"
        stat = source.stat()
        about = [str(source.resolve()), stat.st_size, stat.st_mtime_ns, origin, workspace]
        name = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
        path = folder / f"{name}.json"
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            kept = _Kept()
        return cls(path=path, sent=kept.sent, refused=list(kept.refused))

    def note(self, outcomes: list[Outcome]) -> None:
        """Add the answers to one batch."""
        self.sent += len(outcomes)
        self.refused += [outcome for outcome in outcomes if not outcome.stored]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(msgspec.json.encode(_Kept(sent=self.sent, refused=self.refused)))
        draft.replace(self.path)

    def forget(self) -> None:
        """Start again from the beginning."""
        self.sent, self.refused = 0, []
        self.path.unlink(missing_ok=True)


class _Kept(msgspec.Struct):
    sent: int = 0
    refused: list[Outcome] = []


def send(
    client: "Client",
    origin: str,
    drawings: Iterable[ImportedDrawing],
    journal: Journal,
    *,
    batch: int = BATCH,
) -> Iterator[list[Outcome]]:
    """Send what the journal does not have yet; the answers to each batch, noted before they come.

    Shapes that the server lacks are added. Raises: what the server refuses a whole batch with.
    """
    known = {shape.name for shape in client.shapes.ls()}
    for some in _batches(islice(drawings, journal.sent, None), batch):
        for name in sorted({one.drawing.shape for one in some} - known):
            _ask_for(client, name)
            known.add(name)
        outcomes = client.drawings.import_from(origin, some)
        journal.note(outcomes)
        yield outcomes


def _ask_for(client: "Client", name: str) -> None:
    try:
        client.shapes.add(name)
    except NameTaken:
        return


def _batches(drawings: Iterator[ImportedDrawing], most: int) -> Iterator[list[ImportedDrawing]]:
    while some := list(islice(drawings, most)):
        yield some
