"""The files that one warm request enters: what a reader opens to follow it.

python -m tests.house.walks
"""

import asyncio
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from tests.house.code import PACKAGE, STAGES
from tests.serving.graphs import asked, version
from tests.stages import QUICK, ask_for, drawing
from volano import app
from volano.accounts.authentication import identify
from volano.core import telemetry
from volano.core.http.app import Api
from volano.core.settings import Settings
from volano.serving import service as serving

WARM = 20
"""Requests before the one that is followed: by then every cache is filled."""

_PREFIX = f"{PACKAGE}/"


@dataclass
class Tracer:
    """Notes each file of the package in which a function is called while `follows` is set."""

    follows: bool = False
    entered: set[str] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if self.follows and event == "call" and frame.f_code.co_filename.startswith(_PREFIX):
            self.entered.add(frame.f_code.co_filename.removeprefix(_PREFIX))


@dataclass(frozen=True)
class Walk:
    """The files that one request enters, schemas left out."""

    name: str
    files: list[str]

    @property
    def of_stages(self) -> list[str]:
        """The files among them that belong to a stage."""
        return [name for name in self.files if name.startswith(tuple(f"{s}/" for s in STAGES))]

    def __str__(self) -> str:
        head = f"{self.name}: {len(self.files)} files, {len(self.of_stages)} of them in stages"
        return "\n".join([head, *(f"  {name}" for name in self.files)])


async def walks(home: Path) -> list[Walk]:
    """Return the walks of one drawing and of one prediction through a whole server in `home`."""
    settings = Settings(**QUICK | {"home": str(home)})
    key = await app.prepare(settings)
    assert key is not None
    async with _traced() as tracer, app.open_context(settings) as ctx:
        boss = await identify(ctx, key)
        await ask_for(ctx, boss, "square")
        api = app.build_api(ctx)

        async def follow(name: str, path: str, body: Callable[[], Any]) -> Walk:
            for _ in range(WARM):
                await send(api, key, path, body())
            tracer.entered.clear()
            tracer.follows = True
            await send(api, key, path, body())
            tracer.follows = False
            files = sorted(one for one in tracer.entered if not one.startswith("schemas/"))
            return Walk(name, files)

        # Before the first prediction, whose timers would run beside a drawing.
        drawn = await follow("drawing", "/api/v1/drawings", drawing)
        await serving.activate(ctx, boss, "shapes", (await version(ctx, boss)).id)
        sent = {"input": asked()}
        return [
            drawn,
            await follow("prediction", "/api/v1/endpoints/shapes/predict", lambda: sent),
        ]


async def send(api: Api, key: str, path: str, body: Any) -> None:
    """Send one JSON document to the app as uvicorn would, and wait for an answer of 2xx."""
    content = msgspec.json.encode(body)
    headers = [
        (b"host", b"test"),
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    answered: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def keep(message: Any) -> None:
        answered.append(message)

    await api(scope, receive, keep)
    assert answered[0]["status"] // 100 == 2, answered


@asynccontextmanager
async def _traced() -> AsyncIterator[Tracer]:
    """Trace this thread, and every thread that is started inside."""
    tracer = Tracer()
    sys.setprofile(tracer)
    threading.setprofile(tracer)
    try:
        yield tracer
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type] # as its documentation says


if __name__ == "__main__":
    telemetry.configure("warning")
    with tempfile.TemporaryDirectory() as folder:
        for walk in asyncio.run(walks(Path(folder))):
            print(walk)
