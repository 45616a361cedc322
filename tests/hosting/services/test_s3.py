"""S3 as a child: what it keeps, and what it leaves behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from volano.core.blobs import open_blobs
from volano.hosting.services import S3Server
from volano.hosting.services.s3 import free_ports


@pytest.fixture
def server(s3_server: S3Server, server_folder: Path, tmp_path: Path) -> Iterator[S3Server]:
    """A server that a test may stop and kill."""
    server = S3Server(server_folder / tmp_path.name)
    yield server
    server.kill()


@pytest.mark.slow
async def test_what_was_put_survives_a_stop_and_a_crash(server: S3Server) -> None:
    ids = []
    for end in (server.stop, server.kill):
        server.start()
        blobs = open_blobs(server.url, access_key=server.access_key, secret_key=server.secret_key)
        ids.append(await blobs.put("ws", f"before {end.__name__}".encode()))
        end()
    server.start()
    blobs = open_blobs(server.url, access_key=server.access_key, secret_key=server.secret_key)
    assert [await blobs.get("ws", id) for id in ids] == [b"before stop", b"before kill"]


def test_a_killed_server_leaves_no_sockets_in_the_temp_folder(server: S3Server) -> None:
    server.start()
    ports = set(server._ports.values())
    server.kill()
    left = [
        path for path in Path("/tmp").glob("seaweedfs-*.sock")
        if any(str(port) in path.name for port in ports)
    ]  # fmt: skip
    assert left == []


def test_free_ports_are_all_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(1024 <= port < 65_536 for port in ports)
