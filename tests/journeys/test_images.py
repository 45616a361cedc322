"""System B over real HTTP: pictures uploaded, trained on without code, measured and asked about."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.journeys.server import Http, Json, call, client, ended

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("up"),
    pytest.mark.timeout(300),  # starts servers and trains, beside whatever else the machine does
]

SHAPES = ("disc", "square", "zig zag")
EACH = 30
PARAMS = {"seconds": 60, "epochs": 30, "width": 12}


def picture(shape: str, seed: int) -> bytes:
    """Return a small photo-like picture of a shape on noise, as JPEG."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(120, 200, (48, 56, 3), np.uint8))
    draw = ImageDraw.Draw(image)
    x, y, r = (int(random.integers(low, high)) for low, high in ((16, 40), (14, 34), (9, 13)))
    if shape == "disc":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(20, 30, 40))
    elif shape == "square":
        draw.rectangle((x - r, y - r, x + r, y + r), outline=(20, 30, 40), width=3)
    else:
        steps = [(x - r + 2 * r * n // 4, y + (r if n % 2 else -r)) for n in range(5)]
        draw.line(steps, fill=(20, 30, 40), width=3)
    told = io.BytesIO()
    image.save(told, "JPEG", quality=90)
    return told.getvalue()


async def upload(http: Http, shape: str, seeds: range) -> list[Json]:
    """Upload pictures of one shape in one multipart request; return what became of each."""
    items = [{"name": f"{shape}-{seed}.jpg", "label": shape} for seed in seeds]
    files = [
        ("file", (item["name"], picture(shape, seed), "image/jpeg"))
        for item, seed in zip(items, seeds, strict=True)
    ]
    answer = await http.post(
        "/datasets/shapes/records",
        data={"items": json.dumps(items)},
        files=files,
        headers={"idempotency-key": f"{shape} {seeds}"},
    )
    assert answer.status_code == 201, answer.text
    told: list[Json] = answer.json()
    return told


async def test_pictures_become_a_model_that_is_measured_and_asked(up: tuple[str, str]) -> None:
    url, key = up
    async with client(url, key) as http, asyncio.timeout(200):
        await call(http, "POST", "/datasets", {"name": "shapes", "fields": {"image": "image"}})
        for number, shape in enumerate(SHAPES):
            told = await upload(http, shape, range(1000 * number, 1000 * number + EACH))
            assert [one["stored"] for one in told] == [True] * EACH, told
        again = await upload(http, SHAPES[0], range(EACH))
        assert {one["duplicate"] for one in again} == {True}

        broken = await http.post(
            "/datasets/shapes/records?label=disc",
            content=picture("disc", 5)[:200],
            headers={"content-type": "image/jpeg"},
        )
        assert broken.status_code == 422, broken.text
        assert broken.headers["content-type"] == "application/problem+json"

        asked = {"name": "shapes", "dataset": "shapes", "split": {"by": "content"}}
        snapshot = await call(http, "POST", "/snapshots", asked)
        assert snapshot["records"] == EACH * len(SHAPES)
        assert snapshot["labels"] == sorted(SHAPES)

        order = {"snapshot": snapshot["id"], "recipe": "image", "model": "shapes"}
        run = await call(http, "POST", "/runs", order | {"params": PARAMS, "seconds": 120})
        run = await ended(http, run["id"])
        assert run["state"] == "finished", run
        report = await call(http, "GET", f"/versions/{run['version']}/evaluation")
        assert report["n"] == snapshot["by_split"]["test"]
        assert report["accuracy"] > 1 / len(SHAPES)
        assert {"precision", "recall", "f1"} <= set(report["macro"])

        await call(http, "POST", "/endpoints/shapes/activate", {"version": run["version"]})
        raw = await http.post(
            "/endpoints/shapes/predict",
            content=picture("disc", 9000),
            headers={"content-type": "image/jpeg"},
        )
        assert raw.status_code == 200, raw.text
        (made,) = raw.json()["predictions"]
        assert made["label"] in SHAPES
        assert sum(made["scores"].values()) == pytest.approx(1, abs=1e-4)

        async with asyncio.timeout(20):
            while (await http.get(f"/predictions/{made['id']}")).status_code == 404:
                await asyncio.sleep(0.05)
        found = await call(http, "GET", f"/explain/prediction/{made['id']}")
        up_to = {fact["kind"] for fact in found["up"]}
        assert {"version", "run", "snapshot", "record"} <= up_to
        record = next(fact["id"] for fact in found["up"] if fact["kind"] == "record")
        preview = await http.get(f"/records/{record}/preview?size=64")
        assert preview.status_code == 200, preview.text
        assert preview.headers["content-type"].startswith("image/")


def folder_of(path: Path, each: int) -> Path:
    """Write a folder a shape, with some files that are no pictures; return the path."""
    for number, shape in enumerate(SHAPES):
        (path / shape).mkdir(parents=True)
        for seed in range(1000 * number, 1000 * number + each):
            (path / shape / f"{seed}.jpg").write_bytes(picture(shape, seed))
    (path / SHAPES[0] / "broken.jpg").write_bytes(picture("disc", 1)[:300])
    (path / ".DS_Store").write_bytes(b"\0")
    return path
