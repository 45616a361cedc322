"""The launcher with real processes: killed, trickled at, drained, refused."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from volano.hosting.launcher import WAY_GIVEN, reserved
from volano.schemas.common import AddressTaken

CLOSED = """
import ctypes, os, sys
from volano.hosting.launcher import close_memory

PR_SET_DUMPABLE = 4

def readable():
    child = os.fork()
    if not child:
        try:
            open(f"/proc/{os.getppid()}/environ").close()
        except PermissionError:
            os._exit(0)
        os._exit(1)
    return bool(os.waitpid(child, 0)[1])

if os.geteuid() == 0:  # who may read everything
    os.setuid(65534)
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)  # as a program is that never changed its account
print(readable())
close_memory()
print(readable())
"""

SERVER = textwrap.dedent(
    """
    import asyncio, os, sys
    from volano.hosting.launcher import Program, serve

    def make_app():
        if "broken" in sys.argv:
            raise RuntimeError("cannot start")

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
                return
            if scope["path"] == "/slow":
                print("slow", flush=True)
                await asyncio.sleep(0.7)
            pid = str(os.getpid()).encode()
            head = [(b"content-length", str(len(pid)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": pid})

        return app

    def beside(ready):
        print("beside", os.getpid(), flush=True)
        print("nice", os.nice(0), flush=True)
        if "late" not in sys.argv:
            ready()
        asyncio.run(asyncio.sleep(600))

    gives_way = "gives way" in sys.argv
    programs = [Program("beside", beside, gives_way)] if "beside" in sys.argv else []
    sys.exit(
        serve(
            make_app, "127.0.0.1", int(sys.argv[1]), int(sys.argv[2]),
            head_s=0.5, drain_s=5.0, beside=programs,
            on_ready=lambda port: print("port", port, flush=True),
        )
    )
    """
)


class Running:
    """A server in processes of its own."""

    def __init__(self, script: Path, *arguments: str) -> None:
        command = [sys.executable, str(script), *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # for a Ctrl-C that is not ours
        )

    @property
    def out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def line(self, word: str) -> int:
        """The number on the next line that begins with `word`."""
        for line in self.out:
            if line.startswith(word.encode()):
                return int(line.split()[-1]) if b" " in line else 0
        raise AssertionError(f"the server ended without a line {word!r}")

    def pids(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.out.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    running: list[Running] = []

    def begin(*arguments: str) -> Running:
        running.append(Running(script, *arguments))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def fetch(port: int, path: str = "/") -> tuple[int, int]:
    """(status, pid of the process that answered)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, int(answer.read())
    finally:
        connection.close()


def eventually(claim: Callable[[], bool], patience_s: float = 20.0) -> None:
    until = time.monotonic() + patience_s
    while not claim():
        assert time.monotonic() < until, "it did not happen"
        threading.Event().wait(0.02)


def test_every_process_has_a_socket_of_its_own_and_answers(start: Callable[..., Running]) -> None:
    server = start("0", "2")
    port = server.line("port")

    answered: set[int] = set()
    eventually(lambda: not answered.add(fetch(port)[1]) and answered == server.pids())

    assert len(answered) == 2


@pytest.mark.parametrize("gives_way", [False, True])
def test_a_program_that_gives_way_leaves_the_processor_to_the_others(
    start: Callable[..., Running], gives_way: bool
) -> None:
    server = start("0", "1", "beside", *(["gives way"] if gives_way else []))
    beside = server.line("beside")
    assert server.line("nice") == os.nice(0) + WAY_GIVEN * gives_way
    server.line("port")
    (api,) = server.pids() - {beside}
    assert os.nice(0) == psutil.Process(api).nice()


@pytest.mark.faults
def test_a_killed_process_is_replaced_while_the_others_serve(start: Callable[..., Running]) -> None:
    server = start("0", "2")
    port = server.line("port")
    before = server.pids()
    victim = min(before)

    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(victim))
    statuses = {fetch(port)[0] for _ in range(20)}
    eventually(lambda: len(server.pids() - before) == 1)

    assert statuses == {200}
    newcomer = next(iter(server.pids() - before))
    eventually(lambda: fetch(port)[1] == newcomer)


def test_a_head_that_trickles_in_is_cut_off(start: Callable[..., Running]) -> None:
    port = start("0", "1").line("port")

    for beginning in (b"GET / HTTP/1.1\r\nhost: x\r\n", b"\r\n", b""):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(beginning)
            assert trickle(client, b"x-a: b\r\n" if beginning.startswith(b"GET") else b"\r\n")


def test_a_head_that_trickles_in_on_a_kept_connection_is_cut_off(
    start: Callable[..., Running],
) -> None:
    port = start("0", "1").line("port")

    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert trickle(client, b"\r\n")


def test_a_kept_connection_outlives_the_head_timeout(start: Callable[..., Running]) -> None:
    port = start("0", "1").line("port")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    statuses = []
    for _ in range(3):
        connection.request("GET", "/slow")
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        connection.auto_open = 0  # type: ignore[attr-defined] # a new connection would hide a cut one
    connection.close()

    assert statuses == [200, 200, 200]


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ",
        b"GET /",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 101 + b"\r\n",
        b"POST /slow HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-a: ",
    ],
)
def test_a_head_that_does_not_end_is_refused_and_read_no_further(
    start: Callable[..., Running], begun: bytes
) -> None:
    port = start("0", "1").line("port")

    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(begun)
        status, problem = refused(client, b"a" * 16_384)

    assert (status, problem["code"]) == (431, "head-too-large")
    assert problem["facts"] == {"limit": 32_768, "headers": 100}


@pytest.mark.parametrize(
    "request_",
    [
        b"FETCH / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_http_is_told_so_in_a_problem_document(
    start: Callable[..., Running], request_: bytes
) -> None:
    port = start("0", "1").line("port")

    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(request_)
        status, problem = refused(client, b"")

    assert (status, problem["code"]) == (400, "not-http")
    assert problem["facts"]["reason"] in problem["detail"]


def refused(client: socket.socket, more: bytes) -> tuple[int, dict[str, Any]]:
    """The answer of a server that is sent `more` until it answers."""
    client.settimeout(0.05 if more else 20)
    for _ in range(1000):
        client.sendall(more)
        with suppress(TimeoutError):
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.getheader("connection") == "close"
            return answer.status, json.loads(answer.read())
    raise AssertionError("16 MB of head were taken")


def trickle(client: socket.socket, piece: bytes) -> bool:
    """Send piece by piece until the server closes."""
    client.settimeout(0.1)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            client.sendall(piece)
            if client.recv(4096) == b"":
                return True
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return True
    return False


def test_sigterm_lets_open_requests_finish(start: Callable[..., Running]) -> None:
    server = start("0", "2")
    port = server.line("port")
    answers: list[tuple[int, int]] = []
    request = threading.Thread(target=lambda: answers.append(fetch(port, "/slow")))

    request.start()
    server.line("slow")
    server.process.terminate()
    request.join()

    assert server.process.wait(20) == 0
    assert [status for status, _ in answers] == [200]


def test_ctrl_c_before_all_are_ready_is_no_failure(start: Callable[..., Running]) -> None:
    server = start("0", "1", "beside", "late")
    late = server.line("beside")

    os.kill(late, signal.SIGINT)  # a terminal tells all of them, in any order
    os.killpg(server.process.pid, signal.SIGINT)

    assert server.process.wait(20) == 0


def test_ctrl_c_lets_open_requests_and_programs_finish(start: Callable[..., Running]) -> None:
    server = start("0", "1", "beside")
    beside = server.line("beside")
    port = server.line("port")
    answers: list[tuple[int, int]] = []
    request = threading.Thread(target=lambda: answers.append(fetch(port, "/slow")))

    request.start()
    server.line("slow")
    os.kill(beside, signal.SIGINT)
    os.killpg(server.process.pid, signal.SIGINT)
    request.join()

    assert server.process.wait(20) == 0
    assert [status for status, _ in answers] == [200]


def test_a_server_that_cannot_start_ends_with_an_error(start: Callable[..., Running]) -> None:
    assert start("0", "2", "broken").process.wait(30) == 1


@pytest.mark.faults
def test_the_processes_end_when_their_supervisor_is_killed(start: Callable[..., Running]) -> None:
    server = start("0", "2")
    server.line("port")
    children = server.pids()

    server.process.kill()

    eventually(lambda: not any(_runs(pid) for pid in children))


def test_programs_beside_the_api_are_kept_alive_too(start: Callable[..., Running]) -> None:
    server = start("0", "1", "beside")
    first = server.line("beside")
    server.line("port")

    os.kill(first, signal.SIGKILL)
    second = server.line("beside")

    assert first != second
    assert second in server.pids()


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressTaken, match=str(port)), reserved("127.0.0.1", port):
            pass


def test_two_servers_cannot_share_a_port(start: Callable[..., Running]) -> None:
    port = start("0", "1").line("port")

    with pytest.raises(AddressTaken), reserved("127.0.0.1", port):
        pass


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_program_of_the_same_account_cannot_read_a_server_s_environment() -> None:
    told = subprocess.run(
        [sys.executable, "-c", CLOSED], check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == ["True", "False"]
