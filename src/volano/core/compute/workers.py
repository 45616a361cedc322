"""Limited processes that read bytes from anywhere with code that may crash on them.

A call that crashes, runs out of memory or out of time costs its own input the answer and the pool
one process; the calls beside it go on.
"""

import asyncio
from contextlib import suppress

import msgspec
import structlog

from volano.core.compute import fork_server
from volano.core.compute.fork_server import Argument
from volano.core.compute.port import StartFailed
from volano.core.compute.worker_processes import ForkServerProcess, Killed, Worker
from volano.core.process import cores
from volano.schemas.common import InputNotRead, Overloaded
from volano.schemas.errors import from_problem

log = structlog.get_logger("workers")

CALLS = 1000
"""Calls of one process before it is replaced, so that what decoders leak stays small."""

WAITING = 128
"""Calls that wait for a process before the next is refused."""


TRIES = 2
"""A process that is killed from outside may have been in the way of another one's memory."""


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
        self._idle: list[Worker] = []
        self._starting = asyncio.Lock()
        self._server: ForkServerProcess | None = None
        self._closed = False
        self._arguments = (target, str(memory), str(deadline_s))

    async def start(self) -> None:
        """Load the function ahead of the first call, which would wait for it.

        Raises: StartFailed.
        """
        await self._running_server()

    async def call(self, *arguments: Argument) -> bytes:
        """Call the function in one of the processes and return its result.

        Raises: InputNotRead (it crashed, or used too much memory or time), Overloaded (too many
        calls wait), StartFailed (also once the pool is closed), and every VolanoError that the
        function raises.
        """
        if self._entered >= self._most:
            raise Overloaded(retry_after_s=1.0)
        self._entered += 1
        try:
            async with self._slots:
                for _ in range(TRIES):
                    with suppress(Killed):
                        return await self._ask(await self._worker(), arguments)
            raise _not_read("its processes were killed, most likely for want of memory")
        finally:
            self._entered -= 1

    async def close(self) -> None:
        """End all processes; calls that still run fail."""
        async with self._starting:
            server, self._server, self._closed = self._server, None, True
        for worker in self._idle:
            worker.connection.close()
        self._idle.clear()
        if server is not None:
            await server.close()

    async def _worker(self) -> Worker:
        """Return a process that waits for work, or a new one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                return worker
            worker.connection.close()
        return await (await self._running_server()).fork()

    async def _running_server(self) -> ForkServerProcess:
        async with self._starting:
            if self._closed:
                raise StartFailed(reason="the server is stopping")
            if self._server is None or self._server.is_lost:
                self._server = await ForkServerProcess.start(*self._arguments)
            return self._server

    async def _ask(self, worker: Worker, arguments: tuple[Argument, ...]) -> bytes:
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
