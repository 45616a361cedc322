"""What only Unix sockets have: names in a folder, which can be long, stale or somebody's."""

import asyncio
import socket
from pathlib import Path

import pytest

from volano.core.bus import open_bus
from volano.core.settings import BadSetting


async def test_a_folder_with_a_long_name_is_as_good(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50) / "bus"
    publisher, listener = (open_bus("local:", folder=folder) for _ in range(2))
    async with listener.subscribe("jobs") as rings:
        publisher.publish("jobs", "1")
        assert await asyncio.wait_for(anext(rings), 20) == ("jobs", "1")
    await publisher.aclose()
    await listener.aclose()


async def test_the_socket_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    bus = open_bus("local:", folder=tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "1-0123dead"))
    async with bus.subscribe("jobs") as rings:
        bus.publish("jobs")
        await asyncio.wait_for(anext(rings), 20)
        assert len(list(tmp_path.iterdir())) == 1
    await bus.aclose()


async def test_whoever_could_not_listen_may_try_again(tmp_path: Path) -> None:
    bus = open_bus("local:", folder=tmp_path / "bus")
    (tmp_path / "bus").rmdir()
    (tmp_path / "bus").write_text("in the way")
    with pytest.raises(FileExistsError):
        async with bus.subscribe("jobs"):
            pass

    (tmp_path / "bus").unlink()
    async with bus.subscribe("jobs") as rings:
        bus.publish("jobs", "1")
        assert await asyncio.wait_for(anext(rings), 20) == ("jobs", "1")
    await bus.aclose()


async def test_what_is_no_socket_of_a_wire_stays(tmp_path: Path) -> None:
    bus = open_bus("local:", folder=tmp_path)
    note, named = tmp_path / "notes.txt", tmp_path / "1-0123dead"
    note.write_text("mine")
    named.write_text("mine, too")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "other.sock"))
    async with bus.subscribe("jobs") as rings:
        bus.publish("jobs")
        await asyncio.wait_for(anext(rings), 20)
    await bus.aclose()
    assert {note, named, tmp_path / "other.sock"} == set(tmp_path.iterdir())
    assert (note.read_text(), named.read_text()) == ("mine", "mine, too")


async def test_a_closed_bus_leaves_nothing_unless_others_listen(tmp_path: Path) -> None:
    first, last = (open_bus("local:", folder=tmp_path / "bus") for _ in range(2))
    async with first.subscribe("jobs"), last.subscribe("jobs"):
        await first.aclose()
        assert len(list((tmp_path / "bus").iterdir())) == 1
        await last.aclose()
        assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    gone, bus = (open_bus("local:", folder=tmp_path / "bus") for _ in range(2))
    await gone.aclose()
    bus.publish("jobs", "to nobody")
    async with bus.subscribe("jobs") as rings:
        bus.publish("jobs", "1")
        while (await asyncio.wait_for(anext(rings), 20))[1] != "1":
            pass
    await bus.aclose()


async def test_bytes_that_are_no_rings_are_passed_over(tmp_path: Path) -> None:
    bus = open_bus("local:", folder=tmp_path)
    async with bus.subscribe("jobs") as rings:
        (listening,) = tmp_path.iterdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            for junk in (b"", b"\xff\0", b"{}", b'[["jobs"]]', b"x" * 20_000):
                other.sendto(junk, str(listening))
        bus.publish("jobs", "1")
        assert await asyncio.wait_for(anext(rings), 20) == ("jobs", "1")
    await bus.aclose()


@pytest.mark.parametrize("url", ["redis://x", "postgres:", ""])
def test_another_kind_of_url_is_refused_by_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="VOLANO_BUS"):
        open_bus(url, folder=tmp_path, db_url="sqlite:///x")
