"""PostgreSQL as a child: who may reach it, what it keeps, what it says when it cannot start."""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest

from volano.hosting.services import PostgresServer, execute
from volano.hosting.services.binaries import Account, postgres_programs, readable
from volano.schemas.services import ServiceFailed, ServiceFolderClosed


@pytest.fixture
def server(postgres_server: str, server_folder: Path, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server as the product starts it, with fsync."""
    server = PostgresServer(server_folder / tmp_path.name)
    yield server
    server.stop()


async def _ask(url: str, question: str) -> Any:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_a_new_server_has_our_database_and_a_role_that_is_no_superuser(
    server: PostgresServer,
) -> None:
    server.start()
    assert await _ask(server.url, "SELECT current_database()") == "volano"
    assert await _ask(server.url, "SHOW is_superuser") == "off"
    assert await _ask(server.url, "SHOW fsync") == "on"
    assert await _ask(server.url, "SHOW server_encoding") == "UTF8"
    assert await _ask(server.url, "SHOW data_checksums") == "on"


async def test_what_was_committed_survives_a_stop_and_a_crash(server: PostgresServer) -> None:
    server.start()
    execute(server.url, "CREATE TABLE kept (n int)")
    for end in (server.stop, server.kill):
        execute(server.url, "INSERT INTO kept VALUES (1)")
        end()
        server.start()
    assert await _ask(server.url, "SELECT count(*) FROM kept") == 2


def test_only_its_account_may_open_the_socket(server: PostgresServer) -> None:
    server.start()
    for folder in (server.socket, server.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert server.account.user == folder.stat().st_uid


async def test_a_folder_with_a_long_name_is_as_good(server_folder: Path, tmp_path: Path) -> None:
    with PostgresServer(server_folder / tmp_path.name / ("long" * 40), fsync=False) as server:
        assert await _ask(server.url, "SELECT current_user") == "volano"


def test_a_broken_cluster_is_an_error_with_the_log(server: PostgresServer) -> None:
    server.data.mkdir(parents=True)
    with pytest.raises(ServiceFailed, match="PostgreSQL did not start") as failed:
        server.start()
    assert "postgresql.conf" in failed.value.message
    assert str(server.log) in failed.value.advice
    assert not server.running


async def test_an_initdb_that_was_cut_short_is_begun_again(server: PostgresServer) -> None:
    half = server.folder / "data.partial"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    assert await _ask(server.url, "SELECT current_database()") == "volano"


def test_a_folder_that_nobody_may_enter_is_refused_by_name(
    tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        absent("not root: then the server runs as ourselves")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServiceFolderClosed, match="'nobody', which may not enter"):
        PostgresServer(closed / "postgres").start()


def test_programs_that_nobody_may_read_are_copied_once(
    tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        absent("not root: then the server runs as ourselves")
    account = Account.unprivileged()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tree = Path(shutil.copytree(postgres_programs(account).parent, closed / "tree", symlinks=True))
    os.utime(tree, ns=(time.time_ns(), time.time_ns()))  # the copy of no other tree
    copy = readable(tree, account)
    try:
        assert tree != copy
        assert copy == readable(copy, account) == readable(tree, account)
    finally:
        shutil.rmtree(copy)


@pytest.mark.parametrize("time", ["first", "second"])
async def test_every_test_gets_a_database_of_its_own(postgres_url: str, time: str) -> None:
    execute(postgres_url, "CREATE TABLE only_here (n int)")
    assert (await _ask(postgres_url, "SELECT current_database()")).startswith("test_")
