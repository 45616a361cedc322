"""A real server for the journeys, with real processes, and a client that fails on any error."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from volano.core.settings import Settings

Http = httpx.AsyncClient
Json = dict[str, Any]


@contextmanager
def volano_up(settings: Settings, folder: Path) -> Iterator[tuple[str, str]]:
    """Run two API processes and a worker; yield the address and the key of the admin."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("VOLANO_")}
    chosen = {
        "VOLANO_DB": settings.db,
        "VOLANO_BLOBS": settings.blobs,
        "VOLANO_S3_ACCESS_KEY": settings.s3_access_key,
        "VOLANO_S3_SECRET_KEY": settings.s3_secret_key,
        "VOLANO_SEGMENT_AGE_S": "0.2",
        "VOLANO_JOBS_SWEEP_S": "0.2",
        "VOLANO_PROCESSES": "2",
    }
    options = ["--home", str(folder / "up"), "--port", "0", "--empty"]
    told = folder / "up.log"
    with told.open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "volano", "up", *options],
            cwd=folder,
            env=kept | chosen,
            stdout=log,
            stderr=log,
        )
    try:
        yield _ready(server, told)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0, told.read_text()
    finally:
        server.kill()
        server.wait()


def _ready(server: subprocess.Popen[bytes], told: Path) -> tuple[str, str]:
    until = time.monotonic() + 60
    while "ready after" not in told.read_text():
        assert server.poll() is None, told.read_text()
        assert time.monotonic() < until, "the server is not ready after a minute"
        time.sleep(0.05)
    address = re.search(r"server at (http://\S+)", told.read_text())
    key = re.search(r"vol_\S+", told.read_text())
    assert address is not None
    assert key is not None
    return address[1], key[0]


@asynccontextmanager
async def client(url: str, credential: str) -> AsyncIterator[Http]:
    """Yield a client that is signed in with a key or a session."""
    headers = {"authorization": f"Bearer {credential}"}
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1", headers=headers, timeout=60, follow_redirects=True
    ) as http:
        yield http


async def call(http: Http, method: str, path: str, body: Any = None) -> Any:
    """Return the answer's JSON; fail unless it is a success."""
    content = None if body is None else msgspec.json.encode(body)
    headers = {} if body is None else {"content-type": "application/json"}
    answer = await http.request(method, path, content=content, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


async def ended(http: Http, run: str) -> Json:
    """Wait until a run is over and return it."""
    while True:
        found: Json = await call(http, "GET", f"/runs/{run}")
        if found["state"] not in ("queued", "running"):
            return found
        await asyncio.sleep(0.1)
