"""Runs a server as several processes: forks them, replaces those that die, drains them at the end.

Each API process listens on a socket of its own (SO_REUSEPORT), so the kernel spreads connections
evenly: one shared socket wakes the last waiter first and loads one process (measured: p99 of a
1 ms model at 2,000/s is 2.3 ms instead of 23).
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
import uvicorn
from starlette.types import ASGIApp

from volano.core.http.connection import Connection
from volano.schemas.common import AddressTaken

log = structlog.get_logger("launcher")

HEALTHY_S = 10.0
"""A process that lived so long did not die of its start."""

LONGEST_PAUSE_S = 10.0
KEEP_ALIVE_S = 30.0
BACKLOG = 2048

WAY_GIVEN = 5
"""Niceness of a program that gives way: where both want a core, it gets a quarter of it."""

TURN_S = 0.001
"""A thread that computes hands the interpreter over after this long: Python's own 5 ms are five
answers that the event loop could have given."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


@dataclass(frozen=True, slots=True)
class Program:
    """Something to run in a process of its own, for as long as the server runs.

    `main` is called in the child with a function to call once it is ready; SIGTERM asks it to end.
    One that `gives_way` gets what the others leave of the processor, and so do its children.
    """

    name: str
    main: Callable[[Callable[[], None]], None]
    gives_way: bool = False


def serve(
    make_app: Callable[[], ASGIApp],
    host: str,
    port: int,
    processes: int = 1,
    *,
    head_s: float = 10.0,
    drain_s: float = 10.0,
    beside: Sequence[Program] = (),
    on_ready: Callable[[int], None] = lambda port: None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    `make_app` is called in each API process; `beside` are programs that start and end with them;
    `on_ready` is called with the port once all of them are ready (port 0 takes a free one; with no
    API process at all there is none, and it is 0).

    Raises: AddressTaken.
    """
    if not processes:
        return Supervisor(beside, drain_s=drain_s).run(lambda: on_ready(0))
    with reserved(host, port) as taken:

        def api(ready: Callable[[], None]) -> None:
            listener = listen(host, taken)
            sys.setswitchinterval(TURN_S)
            _Server(_config(make_app(), head_s, drain_s), ready).run(sockets=[listener])

        programs = [Program(f"api-{number}", api) for number in range(processes)]
        return Supervisor([*programs, *beside], drain_s=drain_s).run(lambda: on_ready(taken))


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Keep a port for the processes to come; yield its number.

    Raises: AddressTaken.
    """
    family = _family(host)
    try:
        # Without SO_REUSEPORT first: with it, a second server would silently share the port.
        with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
            port = alone.getsockname()[1]
        with listen(host, port):
            yield port
    except OSError as error:
        raise AddressTaken(host=host, port=port, reason=error.strerror) from None


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket of this process's own; it takes connections once a server listens on it."""
    # The protocol is named because asyncio leaves Nagle's algorithm on where it is 0: +43 ms on
    # every request of a kept connection (measured).
    listener = socket.socket(_family(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(uvicorn.Server):
    """One API process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is alive now stays: the collector need not walk it again, and forks share it.
        gc.collect()
        gc.freeze()
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as uvicorn does, but let a drained process end with 0, not by its signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def _config(app: ASGIApp, head_s: float, drain_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=type("Protocol", (Connection,), {"head_s": head_s}),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,  # type: ignore[arg-type] # any number of seconds works
        timeout_graceful_shutdown=drain_s,  # type: ignore[arg-type] # same
    )


@dataclass(slots=True)
class _Slot:
    """The place of one program: who fills it, or when it is filled again."""

    program: Program
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    ready: bool = False


class Supervisor:
    """Keeps one process per program alive."""

    def __init__(self, programs: Sequence[Program], *, drain_s: float) -> None:
        self.slots = [_Slot(program) for program in programs]
        self.drain_s = drain_s
        self._wake, self._woken = socket.socketpair()
        self._ready_read, self._ready_write = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> int:
        """Start all programs and replace those that die until a signal comes; return the exit code.

        A program that fails before it was ever ready ends the server: it would fail again.
        """
        with self._signals():
            announced = False
            while True:
                self._start_due()
                stopping, failed = self._wait()
                if stopping or failed:
                    self._stop()
                    return 1 if failed else 0
                if not announced and all(slot.ready for slot in self.slots):
                    announced = True
                    on_ready()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into bytes in a socket, so that waiting for them has no race."""
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        wakeup = signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        before = {number: signal.signal(number, _ignore) for number in numbers}
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake.close()
            self._woken.close()
            os.close(self._ready_read)
            os.close(self._ready_write)

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self.slots:
            if not slot.pid and slot.due <= now:
                slot.started, slot.pid = now, self._fork(slot)

    def _fork(self, slot: _Slot) -> int:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            self._run_child(slot, parent)
        return pid

    def _run_child(self, slot: _Slot, parent: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            # Ctrl-C reaches every process of the terminal: the supervisor lets this one drain.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            die_with(parent)
            os.nice(WAY_GIVEN * slot.program.gives_way)
            mark = bytes([self.slots.index(slot)])
            slot.program.main(lambda: _tell(self._ready_write, mark))
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # the end of a process: whatever it was, it is written down
            log.exception("process failed", process=slot.program.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait(self) -> tuple[bool, bool]:
        """Wait for a signal, an end or a start; return (asked to stop, a program cannot start)."""
        due = [slot.due for slot in self.slots if not slot.pid]
        pause = max(0.0, min(due) - time.monotonic()) if due else None
        wake, ready = self._wake.fileno(), self._ready_read
        readable, _, _ = select.select([wake, ready], [], [], pause)
        signals = self._wake.recv(4096) if wake in readable else b""
        if ready in readable:
            for number in os.read(self._ready_read, 4096):
                self.slots[number].ready = True
        failed = [not self._plan_restart(slot, code) for slot, code in self._ended()]
        stopping = signal.SIGTERM in signals or signal.SIGINT in signals
        return stopping, any(failed) and not stopping

    def _ended(self) -> list[tuple[_Slot, int]]:
        ended = []
        for slot in self.slots:
            if slot.pid:
                pid, status = os.waitpid(slot.pid, os.WNOHANG)
                if pid:
                    ended.append((slot, os.waitstatus_to_exitcode(status)))
        return ended

    def _plan_restart(self, slot: _Slot, code: int) -> bool:
        """Log the end of a process and plan its successor; return False if it never was ready."""
        lived = time.monotonic() - slot.started
        slot.failures = slot.failures + 1 if lived < HEALTHY_S else 0
        pause = min(0.1 * 2**slot.failures, LONGEST_PAUSE_S) if slot.failures > 1 else 0.0
        log.warning(
            "process ended", process=slot.program.name, pid=slot.pid, exit_code=code,
            retry_in_s=pause,
        )  # fmt: skip
        slot.pid, slot.due = 0, time.monotonic() + pause
        return slot.ready

    def _stop(self) -> None:
        """Ask all processes to end, wait for them to drain, then kill what is left."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + self.drain_s + 2.0
        while any(slot.pid for slot in self.slots):
            for slot, _ in self._ended():
                slot.pid = 0
            left = until - time.monotonic()
            if left <= 0:
                self._signal(signal.SIGKILL)
            with contextlib.suppress(BlockingIOError):
                select.select([self._wake], [], [], min(0.1, max(left, 0.01)))
                self._wake.recv(4096)

    def _signal(self, number: signal.Signals) -> None:
        for slot in self.slots:
            if slot.pid:
                os.kill(slot.pid, number)


def close_memory() -> None:
    """Keep other processes of this account out of this one's memory and environment (Linux).

    Its children by fork inherit that, and programs that it starts do not. Root sees all the same.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def die_with(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when `parent` ends (on Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have ended before the call.
        if os.getppid() != parent:
            raise SystemExit(1)


def _tell(pipe: int, mark: bytes) -> None:
    os.write(pipe, mark)


def _ignore(_number: int, _frame: Any) -> None:
    """Ignore a signal: its byte in the socket says all."""
