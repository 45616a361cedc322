"""The process that forks workers: it loads a function once, and then a worker costs 2 ms.

It is started with `main FD TARGET MEMORY SECONDS`: FD is the socket to the pool, TARGET a
`module:function` that takes and returns bytes, MEMORY what a call may use beside what is loaded,
SECONDS the processor time of a call. It ends, with its workers, when the socket closes.
"""

import contextlib
import gc
import importlib
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from volano.harness import confine, landlock
from volano.schemas.errors import VolanoError
from volano.schemas.harness import Limits

COMMAND = struct.Struct("<ci")
"""From the pool: FORK with the socket of the new worker attached, KILL with the id of one."""
FORK, KILL = b"F", b"K"

EVENT = struct.Struct("<cii")
"""To the pool: READY, then BEGUN and ENDED with the id of a worker and its wait status."""
READY, BEGUN, ENDED = b"R", b"B", b"E"

REPLY = struct.Struct("<cI")
"""Before a reply: how the call went, and how many bytes follow."""
DONE, REFUSED, FAILED, NO_MEMORY = b"D", b"R", b"F", b"M"

Argument = bytes | int | float | str
Function = Callable[..., bytes]

_LENGTH = struct.Struct("<I")
_OPEN_FILES = 16


def request(arguments: Sequence[Argument]) -> list[bytes]:
    """Return the buffers that ask for one call; bytes are handed on as they are, not packed."""
    plain = [len(one) if isinstance(one, bytes) else one for one in arguments]
    is_bytes = [isinstance(one, bytes) for one in arguments]
    head = msgspec.msgpack.encode((plain, is_bytes))
    return [_LENGTH.pack(len(head)) + head, *(one for one in arguments if isinstance(one, bytes))]


class ForkServer:
    """Forks, kills and reaps workers as the pool asks."""

    def __init__(
        self, control: socket.socket, function: Function, memory: int, seconds: float
    ) -> None:
        self.control, self.function = control, function
        self.memory, self.seconds = memory, seconds
        self.workers: set[int] = set()
        self.wake, self.woken = socket.socketpair()

    def run(self) -> None:
        """Serve the pool until it closes its end, then kill every worker."""
        for end in (self.wake, self.woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self.woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._tell(READY)
        with contextlib.suppress(ConnectionError):
            self._serve()
        for pid in self.workers:
            os.kill(pid, signal.SIGKILL)

    def _serve(self) -> None:
        while True:
            readable, _, _ = select.select([self.control, self.wake], [], [])
            if self.wake in readable:
                self.wake.recv(4096)
                self._reap()
            if self.control in readable:
                message, sockets, _, _ = socket.recv_fds(self.control, COMMAND.size, 1)
                if not message:
                    return
                command, pid = COMMAND.unpack(message)
                if command == FORK:
                    self._fork(socket.socket(fileno=sockets[0]))
                elif pid in self.workers:  # else it has ended, and its id may be another's
                    os.kill(pid, signal.SIGKILL)

    def _fork(self, connection: socket.socket) -> None:
        with connection:
            pid = os.fork()
            if not pid:
                self._become_worker(connection)
        self.workers.add(pid)
        self._tell(BEGUN, pid)

    def _reap(self) -> None:
        while self.workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.workers.discard(pid)
            self._tell(ENDED, pid, status)

    def _tell(self, event: bytes, pid: int = 0, status: int = 0) -> None:
        with contextlib.suppress(BrokenPipeError):  # the pool is gone, which `run` is about to see
            self.control.send(EVENT.pack(event, pid, status))

    def _become_worker(self, connection: socket.socket) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in (self.control, self.wake, self.woken):
                one.close()
            limit(self.memory)
            with contextlib.suppress(EOFError, ConnectionError):
                work(connection, self.function, self.seconds)
        finally:
            os._exit(0)


def limit(memory: int) -> None:
    """Take from this process what reading an input does not need: files, processes, memory."""
    # Decoders tell of odd input on stderr, which is the server's log.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    confine.limit(Limits(file=0, open_files=_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    loaded = Path("/proc/self/statm")
    if loaded.exists():
        most = int(loaded.read_text().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # Decoders load some of their modules when they meet what needs them.
    landlock.read_only({Path(one) for one in (sys.prefix, sys.base_prefix, *sys.path) if one})


def work(connection: socket.socket, function: Function, seconds: float) -> None:
    """Answer calls until one runs out of memory.

    Raises: EOFError, ConnectionError (the pool closed its end).
    """
    status = DONE
    while status != NO_MEMORY:
        (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
        plain, is_bytes = msgspec.msgpack.decode(_receive(connection, length))
        arguments = [
            bytes(_receive(connection, one)) if packed else one
            for one, packed in zip(plain, is_bytes, strict=True)
        ]
        _limit_time(seconds)
        status, body = _answer(function, arguments)
        arguments.clear()
        connection.sendall(REPLY.pack(status, len(body)))
        connection.sendall(body)


def _answer(function: Function, arguments: Sequence[Any]) -> tuple[bytes, bytes]:
    """Call, and return how it went with the result, the problem or the reason."""
    try:
        return DONE, function(*arguments)
    except VolanoError as error:
        return REFUSED, msgspec.json.encode(error.problem())
    except MemoryError:
        return NO_MEMORY, b""
    except Exception as error:  # noqa: BLE001 - the boundary of a call: its input gets the reason
        return FAILED, f"{type(error).__name__}: {error}"[:500].encode(errors="replace")


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process after so much more processor time, should the pool not."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _receive(connection: socket.socket, size: int) -> bytearray:
    received = bytearray(size)
    view, at = memoryview(received), 0
    while at < size:
        count = connection.recv_into(view[at:])
        if not count:
            raise EOFError
        at += count
    return received


def main(fd: str, target: str, memory: str, seconds: str) -> None:
    """Load the function and fork workers that call it, until the pool closes its end."""
    # Whatever else the server had open, connections to its database among them.
    os.closerange(3, int(fd))
    os.closerange(int(fd) + 1, os.sysconf("SC_OPEN_MAX"))
    # Whoever stops a server may send that to all its processes, while requests are still answered.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=int(fd))
    control.set_inheritable(False)
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    # What is loaded now stays: the collector need not walk it, and forks share it.
    gc.collect()
    gc.freeze()
    ForkServer(control, function, int(memory), float(seconds)).run()
