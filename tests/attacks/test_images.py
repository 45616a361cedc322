"""Image files from anybody: a picture or a clean refusal, and never the end of the server.

`VOLANO_TEST_MUTATIONS=100000 pytest tests/attacks/test_images.py` tries more of them, which takes
some minutes; `VOLANO_TEST_SEED` chooses which.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image

from tests.data.formats import pictures
from tests.stages import Connect
from volano.core.compute import WorkerPool
from volano.core.process import resident_bytes
from volano.data.formats import image_types
from volano.schemas.common import InputNotRead
from volano.schemas.errors import VolanoError
from volano.schemas.images import ImageCorrupt, ImageTooNarrow, TooManyPixels, UnsupportedImage

STORE = "volano.data.formats.pixels:canonical"

MUTATIONS = int(os.environ.get("VOLANO_TEST_MUTATIONS", "1500"))
SEED = int(os.environ.get("VOLANO_TEST_SEED", "1"))
AT_ONCE = 4

REFUSALS = {e.code for e in (ImageCorrupt, ImageTooNarrow, TooManyPixels, UnsupportedImage)}
EXTREMES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0")


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """What a server has its images read by."""
    opened = WorkerPool(STORE, processes=2, memory=1 << 30, deadline_s=30.0)
    yield opened
    await opened.close()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with bytes changed, cut out, put in or repeated, most often near its beginning."""
    file = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(file) if rng.random() < 0.5 else min(len(file), 100))
        match rng.randrange(7):
            case 0 | 1:
                file[at] = rng.randrange(256)
            case 2:
                file[at] ^= 1 << rng.randrange(8)
            case 3:
                file[at : at + 4] = rng.choice(EXTREMES)
            case 4:
                del file[at : at + rng.randrange(1, 50)]
            case 5:
                file[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 6:
                start = rng.randrange(len(file))
                file[at:at] = file[start : start + rng.randrange(1, 200)]
        file = file or bytearray(b"\0")
    return bytes(file)


async def outcome(pool: WorkerPool, data: bytes) -> str:
    """`stored`, or the code of the refusal."""
    try:
        stored = await pool.call(data)
    except VolanoError as error:
        return error.code
    assert image_types.recognise(stored) in ("JPEG", "PNG", "WEBP")
    return "stored"


@pytest.mark.timeout(600)  # by hand, many more of them
async def test_mutated_files_are_pictures_or_refused_for_what_they_are(pool: WorkerPool) -> None:
    rng, kinds = random.Random(SEED), sorted(pictures.of_every_kind().items())
    files = (mutated(rng.choice(kinds)[1], rng) for _ in range(MUTATIONS))
    found: Counter[str] = Counter()

    async def client() -> None:
        for data in files:
            found[await outcome(pool, data)] += 1

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))

    assert found.keys() <= {"stored", *REFUSALS}
    assert found.total() == MUTATIONS
    assert found["stored"] > MUTATIONS / 10
    assert found[ImageCorrupt.code] > MUTATIONS / 10


def polyglot() -> bytes:
    """A GIF that is a script for a browser that guesses."""
    return b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)//"


JPEG = pictures.file(pictures.picture(), "JPEG")

HOSTILE = {
    "an empty file": (b"", UnsupportedImage),
    "a bomb of one bit a pixel": (pictures.bomb(20_000), TooManyPixels),
    "a bomb beyond every limit": (pictures.bomb(30_000), TooManyPixels),
    "a chunk longer than any file": (
        b"\x89PNG\r\n\x1a\n" + bytes.fromhex("7fffffff") + b"IHDR" + b"\0" * 30,
        ImageCorrupt,
    ),
    "a PNG of no width": (pictures.png_by_hand(0, 5, 8, 0, b""), ImageCorrupt),
    "a PNG whose pixels end early": (pictures.png_by_hand(500, 500, 8, 2, b"\0"), ImageCorrupt),
    "an image that says WebP and is not": (b"RIFF\x10\0\0\0WEBPVP8 \xff\xff\xff\xff", ImageCorrupt),
    "a drawing with a script": (b"<svg><script>alert(1)</script></svg>", UnsupportedImage),
    "a page": (b"<!doctype html><script>alert(1)</script>", UnsupportedImage),
    "a document": (b"%PDF-1.7\n%", UnsupportedImage),
    "a script that begins as a GIF": (polyglot(), ImageCorrupt),
    "a JPEG of markers only": (b"\xff\xd8" + b"\xff\xe0\0\2" * 100_000, ImageCorrupt),
    "a JPEG of fill bytes only": (b"\xff\xd8" + b"\xff" * 1_000_000, ImageCorrupt),
    "a JPEG that ends in fill bytes": (JPEG[:-2] + b"\xff" * 5_000_000, ImageCorrupt),
    "a TIFF whose directory leads back to itself": (
        b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0",
        ImageCorrupt,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_refused_and_the_next_is_read(name: str, pool: WorkerPool) -> None:
    data, expected = HOSTILE[name]
    assert await outcome(pool, data) == expected.code
    assert await outcome(pool, JPEG) == "stored"


async def test_one_picture_that_takes_too_much_memory_costs_the_others_nothing() -> None:
    pool = WorkerPool(STORE, processes=2, memory=32 << 20)
    large = pictures.file(Image.new("1", (6_300, 6_300)), "PNG")

    found = await asyncio.gather(*(outcome(pool, one) for one in (JPEG, large, JPEG, large)))
    await pool.close()

    assert found == ["stored", InputNotRead.code, "stored", InputNotRead.code]


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 50}),
        ("JPEG", {"quality": 50, "progressive": True, "subsampling": 0}),
        ("PNG", {"compress_level": 1}),
    ],
)
async def test_the_largest_picture_fits_the_memory_of_a_process(
    format: str, options: dict[str, Any], pool: WorkerPool
) -> None:
    largest = Image.linear_gradient("L").resize((8_000, 5_000)).convert("RGB")
    file = pictures.file(largest, format, **options)
    del largest
    before = resident_bytes()

    assert await outcome(pool, file) == "stored"
    assert resident_bytes() - before < 32 << 20  # what it takes, the other process takes


async def test_mutated_files_that_are_uploaded_are_stored_or_refused_one_by_one(
    connect: Connect,
) -> None:
    http = await connect("developer")
    del http.headers["content-type"]
    await http.post("/datasets", json={"name": "photos", "fields": {"photo": "image"}})
    rng, kinds = random.Random(SEED), sorted(pictures.of_every_kind().items())
    sent = [mutated(rng.choice(kinds)[1], rng) for _ in range(40)]
    sent += [data for data, _ in HOSTILE.values() if data] + [JPEG]
    files = [("file", (f"{number}.jpg", data)) for number, data in enumerate(sent)]

    answer = await http.post("/datasets/photos/records", files=files)

    assert answer.status_code == 201
    told = answer.json()
    assert [one["name"] for one in told] == [f"{number}.jpg" for number in range(len(sent))]
    assert {one["code"] for one in told} <= {"", *REFUSALS}
    assert told[-1]["stored"]
    stored = [one["id"] for one in told if one["stored"]]
    assert len(stored) > 5
    for id in stored:
        shown = await http.get(f"/records/{id}/preview", params={"size": 64})
        assert shown.status_code == 200
        assert max(pictures.opened(shown.content).size) <= 64
