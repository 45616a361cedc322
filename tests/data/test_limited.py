"""Images from anybody are read in limited processes, at no cost for the images beside them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import psutil
import pytest
from PIL import Image

from tests.data.formats import pictures
from volano.core.compute import WorkerPool
from volano.core.context import Context
from volano.data import intake, limited
from volano.data import service as data
from volano.data.datasets import service as datasets
from volano.data.kinds import KINDS
from volano.data.state import State
from volano.schemas.accounts import Who
from volano.schemas.common import InputNotRead, Overloaded, uuid7
from volano.schemas.datasets import NewDataset, NewItem
from volano.schemas.images import UnsupportedImage

JPEG = pictures.file(pictures.picture(), "JPEG")
GIF = pictures.animated("GIF")
LARGE = pictures.file(Image.new("1", (6_300, 6_300)), "PNG")
"""Some kilobytes of file, 40 million pixels."""


def is_limited(process: psutil.Process) -> bool:
    return any("fork_server" in part for part in process.cmdline())


def with_pool(server: Context, pool: WorkerPool) -> Context:
    state = replace(server.part(State), limited=pool)
    return replace(server, parts={**server.parts, State: state})


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """Processes with too little memory for the largest image."""
    opened = WorkerPool(limited.TARGET, processes=2, memory=64 << 20)
    yield opened
    await opened.close()


async def test_an_image_is_read_and_shown_there_as_by_its_kind(pool: WorkerPool) -> None:
    image = KINDS["image"]
    for file in (JPEG, GIF):
        reading = await limited.read(pool, image, file, "image/jpeg")
        shown = await limited.preview(pool, image, reading.payload, 64)

        assert reading == image.read(file, "image/jpeg")
        assert shown == image.preview(reading.payload, 64)


async def test_a_refusal_comes_back_as_its_class(pool: WorkerPool) -> None:
    with pytest.raises(UnsupportedImage, match="a PDF document"):
        await limited.read(pool, KINDS["image"], b"%PDF-1.7", "image/png")


async def test_kinds_that_are_read_here_start_no_process() -> None:
    pool = WorkerPool("volano.nowhere:nothing")
    text = await limited.read(pool, KINDS["text"], b"hello there", "text/plain")
    shown = await limited.preview(pool, KINDS["text"], text.payload, 64)

    assert text.facts["words"] == 2
    assert shown.data == b"hello there"
    await pool.close()


async def test_an_image_that_takes_too_much_memory_costs_its_neighbours_nothing(
    server: Context, boss: Who, pool: WorkerPool
) -> None:
    ctx = with_pool(server, pool)
    await datasets.create(ctx, boss, NewDataset(name="photos", fields={"photo": "image"}))
    items = [NewItem(data=file) for file in (JPEG, LARGE, b"no image", GIF, LARGE, JPEG)]

    outcomes = await intake.add(ctx, boss, "photos", items)

    assert [one.code for one in outcomes] == [
        "",
        InputNotRead.code,
        UnsupportedImage.code,
        "",
        InputNotRead.code,
        "",
    ]
    assert "64 MiB" in outcomes[1].detail
    assert [one.stored for one in outcomes] == [True, False, False, True, False, True]


async def test_a_server_with_too_much_to_read_refuses_the_request_and_no_image_of_it(
    server: Context, boss: Who
) -> None:
    busy = WorkerPool(limited.TARGET, processes=1, waiting=0)
    await datasets.create(server, boss, NewDataset(name="photos", fields={"photo": "image"}))
    items = [NewItem(id=str(uuid7()), data=file) for file in (JPEG, GIF, JPEG)]

    with pytest.raises(Overloaded):
        await intake.add(with_pool(server, busy), boss, "photos", items)
    again = await intake.add(server, boss, "photos", items)
    await busy.close()

    assert [one.stored for one in again] == [True, True, True]
    assert [one.id for one in again] == [item.id for item in items]


async def test_images_are_stored_after_their_processes_were_killed(
    server: Context, boss: Who
) -> None:
    await datasets.create(server, boss, NewDataset(name="photos", fields={"photo": "image"}))
    first = await intake.add(server, boss, "photos", [NewItem(data=JPEG)])
    killed = [one for one in psutil.Process().children(recursive=True) if is_limited(one)]
    for one in killed:
        one.kill()
    psutil.wait_procs(killed, timeout=30)

    second = await intake.add(server, boss, "photos", [NewItem(data=GIF)])

    assert len(killed) >= 2  # the one that forks, and what it forked
    assert first[0].stored
    assert second[0].stored
    _, payload = await data.payload(server, boss, second[0].id)
    assert payload == KINDS["image"].read(GIF, "image/gif").payload
