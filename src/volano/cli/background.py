"""A server that a command starts for itself, in the folder that it is typed in."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from volano.cli.terminal import Terminal
from volano.schemas.errors import Unavailable
from volano.sdk import config
from volano.sdk.transport import ServerUnreachable

LOG: Final = config.PROJECT_FILE.with_name("server.log")
"""What it says, the first key of a new server included: nobody else may read it."""

_READY: Final = "ready after"
_PATIENCE_S: Final = 120.0
_LOOK_S: Final = 0.1


class ServerNotStarted(Unavailable):
    """No server could be started here: {reason}."""

    remedy = "`volano up` in another terminal shows more."


def ensure_server(terminal: Terminal) -> None:
    """Start a server where none answers, unless a certain one was asked for.

    It goes on when this command has ended: what it has trained is to answer.

    Raises: ServerUnreachable (the one that was asked for), ServerNotStarted.
    """
    try:
        terminal.client.whoami()
    except ServerUnreachable:
        if terminal.url or config.environment().get("VOLANO_URL") or not _is_here():
            raise
        process = _start()
        del terminal.client  # the next one reads the key that the new server has left
        terminal.confirm(f"A server runs in {LOG.parent}/; `kill {process.pid}` stops it")


def _is_here() -> bool:
    """Return whether the server that commands look for is the one of this folder, or of none."""
    profile = config.read()
    return config.is_found(config.PROJECT_FILE) or (profile == config.Profile())


def _start() -> "subprocess.Popen[bytes]":
    """Start `volano up` as a process that outlives this one; return it once it is ready."""
    LOG.parent.mkdir(mode=0o700, exist_ok=True)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "volano", "up", "--empty"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
    until = time.monotonic() + _PATIENCE_S
    while _READY not in (said := Path(LOG).read_text("utf-8", "replace")):
        if process.poll() is not None or time.monotonic() > until:
            process.terminate()
            last = said.strip().splitlines()[-1:] or ["it says nothing"]
            raise ServerNotStarted(reason=config.without_secrets(last[0]))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
    return process
