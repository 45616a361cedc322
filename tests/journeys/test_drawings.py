"""The whole wheel over real HTTP with real processes, from a shape to explaining an answer."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.stages import CORNERS, drawing
from volano.core.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("up"),
    pytest.mark.timeout(300),  # starts servers and trains, beside whatever else the machine does
]

PEOPLE, EACH, CLIENTS = 6, 12, 4
PARAMS = {"seconds": 5, "width": 8, "epochs": 40}

Http = httpx.AsyncClient
Json = dict[str, Any]


@pytest.fixture
def up(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """`volano up` with two API processes and a worker: its address, and the admin's key."""
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
    options = ["--home", str(tmp_path / "up"), "--port", "0", "--empty"]
    told = tmp_path / "up.log"
    with told.open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "volano", "up", *options],
            cwd=tmp_path,
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
async def _client(url: str, credential: str) -> AsyncIterator[Http]:
    headers = {"authorization": f"Bearer {credential}", "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1", headers=headers, timeout=60, follow_redirects=True
    ) as http:
        yield http


async def _call(http: Http, method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else msgspec.json.encode(body)
    answer = await http.request(method, path, content=content)
    assert answer.is_success, answer.text
    return answer.json()


async def _draw(url: str, code: str, person: int) -> Json:
    """Follow the invitation and draw every shape some times; return what was counted."""
    async with httpx.AsyncClient() as anonymous:
        made = await anonymous.post(f"{url}/api/v1/sessions", json={"invite": code})
        assert made.status_code == 201, made.text
    async with _client(url, made.json()["token"]) as http:
        shapes = [one["name"] for one in (await _call(http, "GET", "/shapes"))["items"]]
        seeds = range(100 * person, 100 * person + EACH)
        given = [drawing(shape, seed=seed) for seed in seeds for shape in shapes]
        for batch in (given[:20], given[20:], given[:20]):  # the last one is a retry
            outcomes = await _call(http, "POST", "/drawings", batch)
            assert all(one["stored"] for one in outcomes)
        stats: Json = await _call(http, "GET", "/user/stats")
        return stats


async def _ended(http: Http, run: str) -> Json:
    while True:
        found: Json = await _call(http, "GET", f"/runs/{run}")
        if found["state"] not in ("queued", "running"):
            return found
        await asyncio.sleep(0.1)


class Load:
    """Clients that ask without a pause; whatever is no answer fails the test."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.latest: dict[int, str] = {}
        self.answers = 0
        self._body = {"input": _asked()}

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._ask(number)) for number in range(CLIENTS)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    async def _ask(self, number: int) -> None:
        async with _client(self.url, self.key) as http:
            while True:
                said = await _call(http, "POST", "/endpoints/shapes/predict", self._body)
                self.latest[number] = said["version"]
                self.answers += 1

    async def all_hear(self, version: str) -> None:
        """Wait until this version answers every client."""
        async with asyncio.timeout(30):
            while list(self.latest.values()) != [version] * CLIENTS:
                assert not any(task.done() for task in self._tasks), "a request failed"
                await asyncio.sleep(0.01)


def _asked() -> Json:
    given = drawing("square", seed=1)
    return {"canvas": given.canvas, "strokes": given.strokes}


async def test_drawings_become_answers_that_lead_back_to_them(up: tuple[str, str]) -> None:
    url, key = up
    async with _client(url, key) as http, asyncio.timeout(120):
        for shape in CORNERS:
            await _call(http, "POST", "/shapes", {"name": shape})
        invite = await _call(http, "POST", "/invites", {})
        stats = await asyncio.gather(
            *(_draw(url, invite["code"], person) for person in range(PEOPLE))
        )
        of_each = dict.fromkeys(sorted(CORNERS), EACH)
        assert [one["by_shape"] for one in stats] == [of_each] * PEOPLE

        snapshot = await _call(http, "POST", "/snapshots", {"name": "first"})
        assert snapshot["records"] == PEOPLE * EACH * len(CORNERS)
        assert snapshot["contributors"] == PEOPLE
        asked = {"snapshot": snapshot["id"], "model": "shapes", "params": PARAMS, "seconds": 60}
        queued = [await _call(http, "POST", "/runs", asked | {"seed": seed}) for seed in (0, 1)]
        runs = [await _ended(http, one["id"]) for one in queued]
        assert [run["state"] for run in runs] == ["finished"] * 2, runs
        first, second = (run["version"] for run in runs)
        report = await _call(http, "GET", f"/versions/{first}/evaluation")
        assert report["n"] == snapshot["by_split"]["test"]
        assert report["accuracy"] > 1 / len(CORNERS)
        numbers = {one["number"] for one in (await _call(http, "GET", "/versions"))["items"]}
        assert numbers == {1, 2}

        await _call(http, "POST", "/endpoints/shapes/activate", {"version": first})
        async with Load(url, key) as load:
            await load.all_hear(first)
            await _call(http, "POST", "/endpoints/shapes/activate", {"version": second})
            await load.all_hear(second)
            left = {"from": second}
            back = await _call(http, "POST", "/endpoints/shapes/rollback", left)
            assert back["version"] == first
            await load.all_hear(first)
        assert load.answers > CLIENTS * 3

        said = await _call(http, "POST", "/endpoints/shapes/predict", {"input": _asked()})
        await _explained(http, said["predictions"][0]["id"], first, snapshot["id"], stats)


async def _explained(
    http: Http, prediction: str, version: str, snapshot: str, stats: list[Json]
) -> None:
    """Walk from the answer back to drawings of the people who drew, and from one of them to it."""
    async with asyncio.timeout(20):
        while (await http.get(f"/predictions/{prediction}")).status_code == 404:
            await asyncio.sleep(0.05)
    found = await _call(http, "GET", f"/explain/prediction/{prediction}")
    up = [(fact["kind"], fact["id"]) for fact in found["up"]]
    made_from = [one for one in up if one[0] in ("version", "snapshot")]
    assert made_from == [("version", version), ("snapshot", snapshot)]
    records = [id for kind, id in up if kind == "record"]
    drawers = {id for kind, id in up if kind == "contributor"}
    assert records
    assert drawers <= {one["contributor"] for one in stats}
    down = (await _call(http, "GET", f"/explain/record/{records[0]}"))["down"]
    assert {("snapshot", snapshot), ("version", version)} <= {(f["kind"], f["id"]) for f in down}
    drawn = await http.get(f"/records/{records[0]}/image?format=svg")
    assert drawn.text.startswith("<svg")
