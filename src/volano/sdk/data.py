"""The client's part of collecting and data: shapes, drawings, records, snapshots."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, TypedDict, Unpack, get_args

import msgspec

from volano.schemas.common import Id, Name
from volano.schemas.data import (
    NewSnapshot,
    Record,
    RecordCount,
    RecordFilter,
    Snapshot,
    SnapshotRecord,
    Split,
    SplitRule,
)
from volano.schemas.datasets import Outcome
from volano.schemas.drawings import Drawing, DrawingImport, ImportedDrawing, NewDrawing
from volano.schemas.labeling import Difficulty, NewShape, Shape
from volano.schemas.loop import QuarantinedRow, QuarantineRetry, Retried
from volano.sdk.transport import Transport, path

ImageFormat = Literal["png", "svg"]

FREEZING_S = 300.0
"""As long as a server lets a freeze take: millions of records need more than other requests."""


class Which(TypedDict, total=False):
    """Which records: every condition given must hold; of several values one is enough."""

    dataset: str | Sequence[str]
    kind: str | Sequence[str]
    label: str | Sequence[str]
    split: str | Sequence[str]
    synthetic: bool | None
    origin: str | Sequence[str]
    contributor: str | Sequence[str]
    without_flag: str | Sequence[str]
    min_quality: float | None
    received_before: datetime | None


class Shapes:
    """What contributors are asked to draw."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self) -> Iterator[Shape]:
        """Yield every shape."""
        return self._transport.pages("/shapes", Shape)

    def add(self, name: Name, *, description: str = "", difficulty: Difficulty = "easy") -> Shape:
        """Ask for one more shape."""
        new = NewShape(name=name, description=description, difficulty=difficulty)
        return self._transport.call("POST", "/shapes", Shape, body=new)


class Drawings:
    """Drawings on their way in."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, drawing: NewDrawing) -> Outcome:
        """Store one drawing; when this returns it is durable."""
        return self._transport.call("POST", "/drawings", Outcome, body=drawing)

    def submit_all(self, drawings: Sequence[NewDrawing]) -> list[Outcome]:
        """Store up to 50 drawings; each is accepted or refused by itself."""
        return self._transport.call("POST", "/drawings", list[Outcome], body=drawings)

    def import_from(self, origin: Name, drawings: Sequence[ImportedDrawing]) -> list[Outcome]:
        """Store up to 200 drawings that were made elsewhere, with their own contributors."""
        batch = DrawingImport(origin=origin, drawings=list(drawings))
        return self._transport.call("POST", "/drawings/import", list[Outcome], body=batch)


class Records:
    """What is on the shelf."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self, *, page: int | None = None, **which: Unpack[Which]) -> Iterator[Record]:
        """Yield the records that fit, fetched `page` at a time."""
        return self._transport.pages("/records", Record, {**which, "limit": page})

    def count(self, **which: Unpack[Which]) -> RecordCount:
        """Count the records that fit: exactly, or at least."""
        return self._transport.call("GET", "/records/count", RecordCount, query={**which})

    def show(self, id: Id) -> Record:
        """Return one record, without its content."""
        return self._transport.call("GET", path("records", id), Record)

    def content(self, id: Id, *, field: str = "") -> Iterator[bytes]:
        """Yield the content of a record, or of one of its fields, as it arrives."""
        return self._transport.chunks(path("records", id, "content"), {"field": field})

    def preview(self, id: Id, *, size: int = 256) -> bytes:
        """Return a small picture of a record, or its first lines."""
        return self._transport.fetch("GET", path("records", id, "preview"), query={"size": size})

    def drawing(self, id: Id) -> Drawing:
        """Return one record with its strokes."""
        return self._transport.call("GET", path("records", id, "drawing"), Drawing)

    def image(self, id: Id, format: ImageFormat = "png", size: int = 128) -> bytes:
        """Return one record as a picture, `size` px wide and high."""
        query = {"format": format, "size": size}
        return self._transport.fetch("GET", path("records", id, "image"), query=query)

    def export(self, **which: Unpack[Which]) -> Iterator[bytes]:
        """Yield the records that fit with their content, each as a JSON document."""
        return self._transport.lines("/records/export", {**which})

    def drawings(self, **which: Unpack[Which]) -> Iterator[Drawing]:
        """Yield the drawings that fit as they arrive."""
        decode = msgspec.json.Decoder(Drawing).decode
        return (decode(line) for line in self.export(**which))


class Quarantine:
    """What was stored but cannot be read: of records and of logged predictions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self) -> Iterator[QuarantinedRow]:
        """List everything in quarantine, with the reasons."""
        return self._transport.pages("/quarantine", QuarantinedRow)

    def retry(self, ids: Sequence[Id] | None = None) -> Retried:
        """Let the server read these again, or all of them."""
        wanted = QuarantineRetry(ids=list(ids) if ids else None)
        return self._transport.call("POST", "/quarantine/retry", Retried, body=wanted)

    def rm(self, id: Id) -> None:
        """Delete one for good."""
        self._transport.fetch("DELETE", path("quarantine", id))


class Snapshots:
    """Frozen lists of records: what runs are trained on."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: Name,
        *,
        filter: RecordFilter | None = None,
        split: SplitRule | None = None,
    ) -> Snapshot:
        """Freeze the records that the filter lets through, divided by contributor or by record.

        `warnings` of the snapshot say what cannot be learnt from it, or not measured.
        """
        new = NewSnapshot(name=name, filter=filter or RecordFilter(), split=split or SplitRule())
        return self._transport.call("POST", "/snapshots", Snapshot, body=new, timeout_s=FREEZING_S)

    def ls(self) -> Iterator[Snapshot]:
        """Yield every snapshot, newest first."""
        return self._transport.pages("/snapshots", Snapshot)

    def show(self, id_or_name: str) -> Snapshot:
        """Return one snapshot by its id, or the newest of a name."""
        return self._transport.call("GET", path("snapshots", id_or_name), Snapshot)

    def records(self, id: Id, *, split: Split | None = None) -> Iterator[SnapshotRecord]:
        """Yield the records of a snapshot, or of one split of it."""
        found = self._transport.pages(path("snapshots", id, "records"), SnapshotRecord)
        return (record for record in found if split in (None, record.split))

    def pull(self, id_or_name: str, folder: Path) -> Snapshot:
        """Fetch a snapshot with its drawings into a folder: what a run without a server reads.

        The folder has `snapshot.json` only once everything else is there. Raises: OSError.
        """
        snapshot = self.show(id_or_name)
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / "snapshot.json"
        whole.unlink(missing_ok=True)
        for split in get_args(Split):
            at = path("snapshots", snapshot.id, "splits", split)
            with (folder / f"{split}.parquet").open("wb") as file:
                file.writelines(self._transport.chunks(at))
        whole.write_bytes(msgspec.json.encode(snapshot))
        return snapshot
