"""Rings between the processes of one machine: each listens at a Unix socket in a shared folder."""

import asyncio
import os
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from volano.core.bus.doorbell import LONGEST_FRAME
from volano.core.sockets import socket_folder

RETRIES = 10
RETRY_S = 0.002

_NAME = re.compile("[0-9]{1,7}-[0-9a-f]{8}")
"""A socket's name: the process and some random bytes."""


class LocalWire:
    """Datagrams to every wire's socket in the folder; one without a process is removed.

    Whatever else is in the folder is somebody's, and left alone.
    """

    pause_s = 0.001

    def __init__(self, folder: Path) -> None:
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._wanted = folder
        self._folder = self._make_folder()
        self._inbound: socket.socket | None = None
        self._outbound = _datagram_socket()
        self._slow: set[str] = set()

    async def listen(self, deliver: Callable[[bytes], None]) -> None:
        self._make_folder()  # again: who closed last has removed it
        self._inbound = _datagram_socket()
        self._inbound.bind(str(self._folder / self._name))
        asyncio.get_running_loop().add_reader(self._inbound, _receive, self._inbound, deliver)

    async def send(self, frames: list[bytes]) -> None:
        for frame in frames:
            full = [peer for peer in self._peers() if not self._sent(peer, frame)]
            await self._send_again(frame, set(full) - self._slow)
            self._slow.intersection_update(full)

    async def aclose(self) -> None:
        self._outbound.close()
        if self._inbound:
            asyncio.get_running_loop().remove_reader(self._inbound)
            self._inbound.close()
            self._inbound = None
            (self._folder / self._name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else still listens in it
            self._folder.rmdir()

    def _make_folder(self) -> Path:
        return socket_folder(self._wanted, longest_name=len("4194304-01234567"))

    def _peers(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self._folder) if _NAME.fullmatch(name)]
        return []

    async def _send_again(self, frame: bytes, full: set[str]) -> None:
        """Send to peers whose queue was full, for a while; then leave each out until it is not.

        Queues are short: 10 datagrams on Linux.
        """
        for _ in range(RETRIES):
            if not full:
                return
            await asyncio.sleep(RETRY_S)
            full = {peer for peer in full if not self._sent(peer, frame)}
        self._slow |= full

    def _sent(self, peer: str, frame: bytes) -> bool:
        """Send to one peer; return False where its queue is full."""
        path = self._folder / peer
        try:
            self._outbound.sendto(frame, str(path))
        except ConnectionRefusedError:
            if path.is_socket():  # its process is gone
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError:  # EAGAIN on Linux, ENOBUFS on macOS
            return False
        return True


def _receive(inbound: socket.socket, deliver: Callable[[bytes], None]) -> None:
    with suppress(BlockingIOError):
        while True:
            deliver(inbound.recv(LONGEST_FRAME + 1))


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # macOS begins with 2 and 4 KB
        made.setsockopt(socket.SOL_SOCKET, option, 2**18)
    return made
