"""The processes of a pool from the pool's side: the one that forks, and the workers it forks."""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from volano.core.compute import fork_server
from volano.core.compute.fork_server import Argument
from volano.core.compute.port import StartFailed

START_S = 60.0
"""Time to load the function, on a machine that has much to do."""

_JOINED = 1 << 16
"""Buffers of fewer bytes are copied into one, which saves a system call each."""


class Killed(Exception):
    """The process was killed, and not by the pool."""


@dataclass(slots=True, eq=False)
class Worker:
    """One process, from the pool's side."""

    server: "ForkServerProcess"
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
        """Return why the process ended, for the one whose input it was.

        Raises: Killed.
        """
        try:
            async with asyncio.timeout(1.0):
                status = await asyncio.shield(self.ended)
        except TimeoutError:
            raise Killed from None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        match number:
            case signal.SIGKILL:
                raise Killed
            case signal.SIGXCPU:
                return "it took too much processor time"
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


class ForkServerProcess:
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

    async def fork(self) -> Worker:
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
        return Worker(self, pid, ours, self._ended[pid])

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
