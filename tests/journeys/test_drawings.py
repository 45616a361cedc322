"""The whole wheel over real HTTP with real processes, from a shape to explaining an answer."""

import asyncio

import httpx
import pytest

from tests.journeys.server import Http, Json, call, client, ended
from tests.stages import CORNERS, drawing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("up"),
    pytest.mark.timeout(300),  # starts servers and trains, beside whatever else the machine does
]

PEOPLE, EACH, CLIENTS = 6, 12, 4
PARAMS = {"seconds": 5, "width": 8, "epochs": 40}


async def _draw(url: str, code: str, person: int) -> Json:
    """Follow the invitation and draw every shape some times; return what was counted."""
    async with httpx.AsyncClient() as anonymous:
        made = await anonymous.post(f"{url}/api/v1/sessions", json={"invite": code})
        assert made.status_code == 201, made.text
    async with client(url, made.json()["token"]) as http:
        shapes = [one["name"] for one in (await call(http, "GET", "/shapes"))["items"]]
        seeds = range(100 * person, 100 * person + EACH)
        given = [drawing(shape, seed=seed) for seed in seeds for shape in shapes]
        for batch in (given[:20], given[20:], given[:20]):  # the last one is a retry
            outcomes = await call(http, "POST", "/drawings", batch)
            assert all(one["stored"] for one in outcomes)
        stats: Json = await call(http, "GET", "/user/stats")
        return stats


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
        async with client(self.url, self.key) as http:
            while True:
                said = await call(http, "POST", "/endpoints/shapes/predict", self._body)
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
    async with client(url, key) as http, asyncio.timeout(120):
        for shape in CORNERS:
            await call(http, "POST", "/shapes", {"name": shape})
        invite = await call(http, "POST", "/invites", {})
        stats = await asyncio.gather(
            *(_draw(url, invite["code"], person) for person in range(PEOPLE))
        )
        of_each = dict.fromkeys(sorted(CORNERS), EACH)
        assert [one["by_shape"] for one in stats] == [of_each] * PEOPLE

        snapshot = await call(http, "POST", "/snapshots", {"name": "first"})
        assert snapshot["records"] == PEOPLE * EACH * len(CORNERS)
        assert snapshot["contributors"] == PEOPLE
        asked = {"snapshot": snapshot["id"], "model": "shapes", "params": PARAMS, "seconds": 60}
        queued = [await call(http, "POST", "/runs", asked | {"seed": seed}) for seed in (0, 1)]
        runs = [await ended(http, one["id"]) for one in queued]
        assert [run["state"] for run in runs] == ["finished"] * 2, runs
        first, second = (run["version"] for run in runs)
        report = await call(http, "GET", f"/versions/{first}/evaluation")
        assert report["n"] == snapshot["by_split"]["test"]
        assert report["accuracy"] > 1 / len(CORNERS)
        numbers = {one["number"] for one in (await call(http, "GET", "/versions"))["items"]}
        assert numbers == {1, 2}

        await call(http, "POST", "/endpoints/shapes/activate", {"version": first})
        async with Load(url, key) as load:
            await load.all_hear(first)
            await call(http, "POST", "/endpoints/shapes/activate", {"version": second})
            await load.all_hear(second)
            left = {"from": second}
            back = await call(http, "POST", "/endpoints/shapes/rollback", left)
            assert back["version"] == first
            await load.all_hear(first)
        assert load.answers > CLIENTS * 3

        said = await call(http, "POST", "/endpoints/shapes/predict", {"input": _asked()})
        await _explained(http, said["predictions"][0]["id"], first, snapshot["id"], stats)


async def _explained(
    http: Http, prediction: str, version: str, snapshot: str, stats: list[Json]
) -> None:
    """Walk from the answer back to drawings of the people who drew, and from one of them to it."""
    async with asyncio.timeout(20):
        while (await http.get(f"/predictions/{prediction}")).status_code == 404:
            await asyncio.sleep(0.05)
    found = await call(http, "GET", f"/explain/prediction/{prediction}")
    up = [(fact["kind"], fact["id"]) for fact in found["up"]]
    made_from = [one for one in up if one[0] in ("version", "snapshot")]
    assert made_from == [("version", version), ("snapshot", snapshot)]
    records = [id for kind, id in up if kind == "record"]
    drawers = {id for kind, id in up if kind == "contributor"}
    assert records
    assert drawers <= {one["contributor"] for one in stats}
    down = (await call(http, "GET", f"/explain/record/{records[0]}"))["down"]
    assert {("snapshot", snapshot), ("version", version)} <= {(f["kind"], f["id"]) for f in down}
    drawn = await http.get(f"/records/{records[0]}/image?format=svg")
    assert drawn.text.startswith("<svg")
