"""People who draw and upload while the server dies: they send until they are answered."""

import asyncio
import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from PIL import Image

from volano.schemas.common import uuid7
from volano.schemas.drawings import NewDrawing
from volano.sdk import synthetic

GIVERS = [f"giver-{number}" for number in range(8)]
DRAWINGS_PER_S = 120
PICTURES = "pictures"
"""The dataset of the images."""
TRY_AGAIN_S = 0.1


class Refused(AssertionError):
    """The server refused what it should have taken."""


class Line:
    """One client that sends a request until it is answered, wherever the server is by then."""

    def __init__(self, address: Callable[[], str], key: str) -> None:
        self.address = address
        self.tries = self.failed = 0
        self.http = httpx.AsyncClient(
            headers={"authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30, connect=2),
        )

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "", files: Any = None
    ) -> Any:
        """Ask until there is an answer, and return its document. Raises: Refused (4xx)."""
        headers = {"idempotency-key": key} if key else {}
        headers |= {} if body is None else {"content-type": "application/json"}
        while True:
            self.tries += 1
            try:
                url = f"{self.address()}/api/v1{path}"
                data = None if body is None else msgspec.json.encode(body)
                got = await self.http.request(
                    method, url, content=data, headers=headers, files=files
                )
                if got.is_success:
                    return msgspec.json.decode(got.content) if got.content else None
                if got.status_code < 500 and got.status_code not in (409, 429):
                    raise Refused(f"{method} {path}: {got.status_code} {got.text}")
            except httpx.TransportError:
                pass
            self.failed += 1
            await asyncio.sleep(TRY_AGAIN_S)

    async def pages(self, path: str) -> list[Any]:
        """Return all items of a listing."""
        items: list[Any] = []
        after = ""
        while True:
            page = await self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=500{after}")
            items += page["items"]
            if page.get("next") is None:
                return items
            after = f"&after={page['next']}"


class Journal:
    """What was acknowledged, in a file of its own, synced line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self.sent: set[str] = set()
        self.pictures: dict[str, str] = {}
        """SHA-256 of the bytes of each image that was sent."""

    def note(self, ids: list[str]) -> None:
        """Write down that these are promised now."""
        self._file.write(b"".join(f"{id}\n".encode() for id in ids))
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file: nothing is promised any more."""
        self._file.close()

    def acknowledged(self) -> list[str]:
        """Return every id that was promised, as often as it was."""
        return self.path.read_text().split()


class Crowd:
    """Several senders at once: drawings, batches, imports, images, and some things sent again."""

    def __init__(self, line: Line, journal: Journal, seed: int) -> None:
        self.line, self.journal = line, journal
        self.rng = random.Random(seed)
        self.repeats = 0
        self._models = [one.drawing for one in synthetic.drawings(synthetic.SHAPES, 4, seed=seed)]
        self._images = [image_of(seed + number) for number in range(8)]
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """Ask for the shapes, and make the dataset of the images."""
        dataset = {"name": PICTURES, "fields": {"image": "image"}}
        await self.line.ask("POST", "/datasets", dataset, key="dataset")
        for name in synthetic.SHAPES:
            await self.line.ask("POST", "/shapes", {"name": name}, key=f"shape-{name}")

    def start(self) -> None:
        """Begin to send."""
        kinds = (self._single, self._single, self._batch, self._import, self._upload)
        self._tasks = [asyncio.create_task(self._keep(kind)) for kind in kinds]

    async def stop(self) -> None:
        """Stop sending; what is under way is answered first. Raises: what a sender met."""
        self._over.set()
        await asyncio.gather(*self._tasks)

    def check(self) -> None:
        """Raise what a sender met."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _keep(self, send: Callable[[], Any]) -> None:
        while not self._over.is_set():
            sent = await send()
            await asyncio.sleep(sent * 4 / DRAWINGS_PER_S * self.rng.uniform(0.2, 1.8))

    def _new(self, count: int) -> Iterator[NewDrawing]:
        for _ in range(count):
            model = self.rng.choice(self._models)
            drawing = msgspec.structs.replace(model, id=str(uuid7()))
            self.journal.sent.add(drawing.id)
            yield drawing

    async def _single(self) -> int:
        (drawing,) = self._new(1)
        times = 2 if self.rng.random() < 0.1 else 1
        for again in range(times):
            answer = await self.line.ask("POST", "/drawings", drawing)
            self._noted([answer], again=bool(again))
        return 1

    async def _batch(self) -> int:
        batch = list(self._new(self.rng.randint(2, 10)))
        self._noted(await self.line.ask("POST", "/drawings", batch))
        return len(batch)

    async def _import(self) -> int:
        batch = list(self._new(self.rng.randint(5, 20)))
        given = [{"contributor": self.rng.choice(GIVERS), "drawing": one} for one in batch]
        body = {"origin": "crowd", "drawings": given}
        self._noted(await self.line.ask("POST", "/drawings/import", body))
        return len(batch)

    async def _upload(self) -> int:
        batch = [
            (str(uuid7()), self.rng.choice(self._images)) for _ in range(self.rng.randint(1, 4))
        ]
        self.journal.sent |= {id for id, _ in batch}
        self.journal.pictures |= {id: hashlib.sha256(data).hexdigest() for id, data in batch}
        items = [{"id": id, "label": f"size {len(data)}"} for id, data in batch]
        form = [("items", (None, msgspec.json.encode(items), "application/json"))]
        form += [("file", (f"{id}.png", data, "image/png")) for id, data in batch]
        path = f"/datasets/{PICTURES}/records"
        self._noted(await self.line.ask("POST", path, files=form))
        return 3 * len(batch)

    def _noted(self, outcomes: list[dict[str, Any]], *, again: bool = False) -> None:
        """Write down what was promised; a promise repeated must be known as one."""
        if any(not one["stored"] for one in outcomes):
            raise Refused(str(outcomes))
        if again and not all(one["duplicate"] for one in outcomes):
            raise Refused(f"sent twice, and not known: {outcomes}")
        self.repeats += sum(one["duplicate"] for one in outcomes)
        self.journal.note([one["id"] for one in outcomes])


def image_of(seed: int) -> bytes:
    """Return an image of noise as PNG; every fourth is too large for a row and becomes a blob."""
    side = 360 if seed % 4 == 0 else 24
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    made = io.BytesIO()
    Image.fromarray(noise).save(made, "PNG")
    return made.getvalue()
