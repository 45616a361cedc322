"""Limited processes that read bytes from anywhere with code that may crash on them.

A call that crashes, runs out of memory or out of time costs its own input the answer and the pool
one process; the calls beside it go on.
"""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import msgspec
import structlog

from volano.core.compute import fork_server
from volano.core.compute.fork_server import Argument
from volano.core.compute.port import StartFailed
from volano.core.process import cores
from volano.schemas.common import InputNotRead, Overloaded
from volano.schemas.errors import from_problem

log = structlog.get_logger("workers")

CALLS = 1000
"""Calls of one process before it is replaced, so that what decoders leak stays small."""

WAITING = 128
"""Calls that wait for a process before the next is refused."""

START_S = 60.0
"""Time to load the function, on a machine that has much to do."""

_JOINED = 1 << 16
"""Buffers of fewer bytes are copied into one, which saves a system call each."""


class WorkerPool:
    """Calls `module:function` in processes that may use so much memory and time, and no files.

    The first call starts them; processes that end are replaced when the next call needs them.
    """

    def __init__(
        self,
        target: str,
        *,
        processes: int = 0,
        memory: int = 1 << 30,
        deadline_s: float = 10.0,
        waiting: int = WAITING,
    ) -> None:
        self.processes = processes or cores()
        self.memory, self.deadline_s = memory, deadline_s
        self._most = self.processes + waiting
        self._entered = 0
        self._slots = asyncio.Semaphore(self.processes)
        self._idle: list[_Worker] = []
        self._starting = asyncio.Lock()
        self._server: _ForkServer | None = None
        self._arguments = (target, str(memory), str(deadline_s))

    async def start(self) -> None:
        """Load the function ahead of the first call, which would wait for it.

        Raises: StartFailed.
        """
        await self._running_server()

    async def call(self, *arguments: Argument) -> bytes:
        """Call the function in one of the processes and return its result.

        Raises: InputNotRead (it crashed, or used too much memory or time), Overloaded (too many
        calls wait), StartFailed, and every VolanoError that the function raises.
        """
        if self._entered >= self._most:
            raise Overloaded(retry_after_s=1.0)
        self._entered += 1
        try:
            async with self._slots:
                return await self._ask(await self._worker(), arguments)
        finally:
            self._entered -= 1

    async def close(self) -> None:
        """End all processes; calls that still run fail."""
        async with self._starting:
            server, self._server = self._server, None
        for worker in self._idle:
            worker.connection.close()
        self._idle.clear()
        if server is not None:
            await server.close()

    async def _worker(self) -> "_Worker":
        """Return a process that waits for work, or a new one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                return worker
            worker.connection.close()
        return await (await self._running_server()).fork()

    async def _running_server(self) -> "_ForkServer":
        async with self._starting:
            if self._server is None or self._server.is_lost:
                self._server = await _ForkServer.start(*self._arguments)
            return self._server

    async def _ask(self, worker: "_Worker", arguments: tuple[Argument, ...]) -> bytes:
        status, body = b"", b""
        try:
            async with asyncio.timeout(self.deadline_s):
                status, body = await worker.ask(arguments)
        except TimeoutError:
            raise _not_read(f"it took more than {self.deadline_s:g} s") from None
        except (EOFError, ConnectionError):
            raise _not_read(await worker.reason()) from None
        finally:
            # Also where the caller was cancelled: what the process reads now is not wanted.
            is_usable = status not in (b"", fork_server.NO_MEMORY)
            if is_usable and worker.calls < CALLS and self._server is worker.server:
                self._idle.append(worker)
            else:
                worker.end()
        match status:
            case fork_server.DONE:
                return body
            case fork_server.REFUSED:
                raise from_problem(msgspec.json.decode(body))
            case fork_server.NO_MEMORY:
                raise _not_read(f"it takes more than {self.memory >> 20} MiB of memory")
            case _:
                raise _not_read(body.decode())


def _not_read(reason: str) -> InputNotRead:
    """Return the error for the caller, and tell whoever runs the server of it."""
    log.warning("input not read", reason=reason)
    return InputNotRead(reason=reason)


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, from the pool's side."""

    server: "_ForkServer"
    pid: int
    connection: socket.socket
    ended: "asyncio.Future[int]"
    """Its wait status."""
    calls: int = 0

    def is_alive(self) -> bool:
        """Tell whether the process still holds its end of the connection, and can be killed."""
        if self.ended.done():
            return False
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ask(self, arguments: tuple[Argument, ...]) -> tuple[bytes, bytes]:
        """Return how one call went, and its result.

        Raises: EOFError, ConnectionError (the process ended).
        """
        self.calls += 1
        loop = asyncio.get_running_loop()
        buffers = fork_server.request(arguments)
        if sum(map(len, buffers)) < _JOINED:
            buffers = [b"".join(buffers)]
        for buffer in buffers:
            await loop.sock_sendall(self.connection, buffer)
        head = await self._receive(fork_server.REPLY.size)
        status, size = fork_server.REPLY.unpack(head)
        return status, bytes(await self._receive(size))

    async def reason(self) -> str:
        """Return why the process ended, for the one whose input it was."""
        try:
            async with asyncio.timeout(1.0):
                status = await asyncio.shield(self.ended)
        except TimeoutError:
            return "the process that read it is gone"
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        match number:
            case signal.SIGXCPU:
                return "it took too much processor time"
            case signal.SIGKILL:
                return "the process that read it was killed, most likely for its use of memory"
            case 0:
                return "the process that read it ended"
            case _:
                return f"it crashed the process that read it ({signal.Signals(number).name})"

    def end(self) -> None:
        """Kill the process."""
        self.connection.close()
        if not self.ended.done():
            self.server.kill(self.pid)

    async def _receive(self, size: int) -> bytearray:
        loop, received, at = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(received)
        while at < size:
            count = await loop.sock_recv_into(self.connection, view[at:])
            if not count:
                raise EOFError
            at += count
        return received


class _ForkServer:
    """The process that forks the workers, from the pool's side."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.process, self.control = process, control
        self.is_lost = False
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._beginning: deque[asyncio.Future[int]] = deque()
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._loop.add_reader(control, self._read)

    @classmethod
    async def start(cls, target: str, memory: str, seconds: str) -> Self:
        """Start the process and wait until it has loaded the function.

        Raises: StartFailed.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-P", "-s", "-c", _PROGRAM),
                    *(str(theirs.fileno()), target, memory, seconds),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise StartFailed(reason=str(error)) from error
        server = cls(process, ours)
        try:
            async with asyncio.timeout(START_S):
                await server._ready
        except (TimeoutError, EOFError):
            await server.close()
            raise StartFailed(reason=f"{target} did not load") from None
        return server

    async def fork(self) -> _Worker:
        """Return a new worker.

        Raises: StartFailed.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        begun: asyncio.Future[int] = self._loop.create_future()
        try:
            with theirs:
                message = fork_server.COMMAND.pack(fork_server.FORK, 0)
                socket.send_fds(self.control, [message], [theirs.fileno()])
            self._beginning.append(begun)
            pid = await begun
        except (OSError, EOFError) as error:
            ours.close()
            raise StartFailed(reason=str(error) or "its parent ended") from None
        except asyncio.CancelledError:
            ours.close()  # which ends the worker that comes
            raise
        return _Worker(self, pid, ours, self._ended[pid])

    def kill(self, pid: int) -> None:
        """Kill a worker that has not ended yet."""
        with suppress(OSError):
            self.control.send(fork_server.COMMAND.pack(fork_server.KILL, pid))

    async def close(self) -> None:
        """End the process and every worker."""
        self._lose()
        try:
            async with asyncio.timeout(5.0):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def _read(self) -> None:
        """Take in what the process tells."""
        try:
            received = self.control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._lose()
            return
        self._buffer += received
        size = fork_server.EVENT.size
        while len(self._buffer) >= size:
            event, pid, status = fork_server.EVENT.unpack(self._buffer[:size])
            self._buffer = self._buffer[size:]
            self._note(event, pid, status)

    def _note(self, event: bytes, pid: int, status: int) -> None:
        if event == fork_server.READY:
            self._ready.set_result(None)
        elif event == fork_server.BEGUN:
            self._ended[pid] = self._loop.create_future()
            begun = self._beginning.popleft()
            if not begun.done():
                begun.set_result(pid)
        else:
            self._ended.pop(pid).set_result(status)

    def _lose(self) -> None:
        """Note that the process is gone, and its workers with it."""
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self.control)
        self.control.close()
        if not self._ready.done():
            self._ready.set_exception(EOFError())
        for begun in self._beginning:
            if not begun.done():
                begun.set_exception(EOFError())
        for ended in self._ended.values():
            ended.set_result(signal.SIGKILL)


_PROGRAM = f"import sys; from {fork_server.__name__} import main; main(*sys.argv[1:])"

_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
"""Of the processes: no variable of the server, whose secrets a decoder that is broken could tell.

One thread each, for the processes work side by side. What a call has freed stays with the process:
given back to the system and fetched again, it takes as long as decoding an image of 1 megapixel.
"""
