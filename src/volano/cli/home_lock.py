"""File locks on a home folder: one server of each role at a time serves from it."""

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from volano.schemas.errors import Unavailable

PARTS: Final = {"all": ("api", "worker"), "api": ("api",), "worker": ("worker",)}
"""Role -> what of a server it runs; a home has one of each, so the two roles may share it."""

_PAUSE_S = 0.05


class HomeTaken(Unavailable):
    """The folder {home} is in use: process {pid} serves from it."""

    remedy = "Stop that process, or give another --home; `--processes` gives one server more."


@contextmanager
def lock_home(home: Path, role: str, *, patience_s: float) -> Iterator[tuple[int, ...]]:
    """Lock the folder for this role; yield the descriptors that hold the locks.

    Whoever inherits them holds the locks too, so the folder is free once the last of a server's
    processes is gone, however that came. What drains after a kill -9 is given `patience_s` to end.

    Raises: HomeTaken, OSError.
    """
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(_lock(home, part, time.monotonic() + patience_s))
            for part in PARTS[role]
        )


@contextmanager
def _lock(home: Path, part: str, until: float) -> Iterator[int]:
    lock = os.open(home / f"{part}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(lock):
            pid = os.pread(lock, 20, 0).decode().strip()
            if _is_alive(pid) or time.monotonic() > until:
                raise HomeTaken(home=str(home), pid=pid or "?")
            select.select([], [], [], _PAUSE_S)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _is_alive(pid: str) -> bool:
    """Return whether the process runs. Who has just taken the lock may not be named yet."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # somebody else's, but there
        pass
    return True
