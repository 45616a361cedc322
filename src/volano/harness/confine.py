"""What a child process does before any user code runs: set limits, arrange to die with its parent.

Stops accidents and orphans; it is no security boundary against code that wants out.
"""

import fcntl
import os
import resource
import select
import signal
import sys
import threading
from pathlib import Path

from volano.schemas.harness import Limits


def limit(limits: Limits) -> None:
    """Set the resource limits that the kernel keeps; memory and time are the parent's to watch."""
    for kind, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.file),
    ):
        _soft, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    # Where memory runs out, the kernel is to end this process and not the server beside it.
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def die_with_parent(fd: int, *, linux: bool = sys.platform == "linux") -> None:
    """Die, with the whole process group, when the other end of the pipe `fd` is closed.

    That is when the parent dies, however it dies. On Linux the kernel itself sends the SIGKILL to
    the group, so code that hangs with the GIL held dies too; elsewhere a thread does it.

    PR_SET_PDEATHSIG is left alone on purpose: it kills this process only, and as soon as the one
    thread that started it ends. With a SIGKILL from there this process is gone before it can tell
    its group, and helpers (data loaders) survive: seen in each of 3 trials.
    """
    os.set_inheritable(fd, False)

    def wait_and_kill() -> None:
        os.read(fd, 1)
        _kill_group()

    if linux:
        _kill_by_signal(fd)
    else:
        threading.Thread(target=wait_and_kill, daemon=True).start()


def _kill_by_signal(fd: int) -> None:
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    # The parent may have died before the lines above.
    poll = select.poll()
    poll.register(fd, 0)
    if poll.poll(0):
        _kill_group()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
