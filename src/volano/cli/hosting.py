"""Hosting a server: what `volano up` does, and the only door from commands to app.py."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from volano import __version__, app
from volano.app import Role, Settings
from volano.cli.steps import Steps
from volano.cli.terminal import Terminal
from volano.sdk import config
from volano.sdk.client import Client


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a server is to be hosted."""

    home: Path | None
    host: str | None
    port: int | None
    processes: int | None
    role: Role
    real: bool
    once: bool
    empty: bool


def up(order: Order, terminal: Terminal) -> int:
    """Serve until told to end; the exit code."""
    settings = app.read_settings(
        home=_text(order.home), host=order.host, port=order.port, processes=order.processes
    )
    steps = Steps(terminal)
    steps.title(f"Volano {__version__}")
    with ExitStack() as stack:
        if order.real:
            settings = stack.enter_context(app.real_services(settings))
            steps.done("PostgreSQL and S3 answer")
        key = asyncio.run(app.prepare(settings))
        steps.done("database ready")
        served = stack.enter_context(_serving(settings, order.role))
        url = f"http://{'localhost' if served.host == '127.0.0.1' else served.host}:{served.port}"
        steps.done("worker ready" if order.role == "worker" else f"server at {url}")
        _turn(settings, steps, url, key, order)
        if order.once:
            served.stop()
        return served.wait()


def migrate(home: Path | None) -> str:
    """Bring the database up to date; which one it was, without its password."""
    settings = app.read_settings(home=_text(home))
    asyncio.run(app.migrate(settings.db_url))
    return settings.db_url.partition("@")[2] or settings.db_url


def settings() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting of a server."""
    return app.settings_table()


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _turn(settings: Settings, steps: Steps, url: str, key: str | None, order: Order) -> None:
    """Show the key once and keep it for commands typed here; turn the wheel for the first time."""
    path = settings.home_path / config.PROJECT_FILE.name
    if key is not None:
        config.write(url, key, path)
        steps.done(
            f"workspace {app.WORKSPACE!r}; its admin key, shown this once and kept in {path}:"
        )
        steps.line(key)
    kept = config.kept(path)
    if kept is not None and kept.url != url and order.role != "worker":
        config.write(url, kept.key, path)  # the same server, now on another port
    if order.role == "all" and not order.empty and kept is not None:
        from volano.cli.first_turn import first_turn

        with Client(url, kept.key) as client:
            first_turn(client, steps, key=key)
    steps.end()


class _Served:
    """The server's processes, below one child of this one."""

    def __init__(self, pid: int, host: str, port: int) -> None:
        self.pid, self.host, self.port = pid, host, port
        self.code: int | None = None

    def stop(self) -> None:
        """Ask it to drain and end."""
        if self.code is None:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """The exit code, once it has ended; Ctrl-C reaches it by the terminal."""
        while self.code is None:
            with suppress(KeyboardInterrupt):
                _, status = os.waitpid(self.pid, 0)
                self.code = os.waitstatus_to_exitcode(status)
        return self.code


@contextmanager
def _serving(settings: Settings, role: Role) -> Iterator[_Served]:
    """The server, ready; it ends with the block, and with this process however that ends."""
    told, tell = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os._exit(app.serve(settings, role, parent, lambda port: _say(tell, port)))
    os.close(tell)
    with os.fdopen(told) as pipe:
        port = pipe.readline()
    served = _Served(pid, settings.host, int(port or settings.port))
    # Without a handler this process would be gone before its server has drained, and as the first
    # process of a container it would not hear the signal at all.
    before = signal.signal(signal.SIGTERM, lambda number, frame: served.stop())
    try:
        if not port:
            raise SystemExit(served.wait())
        yield served
    finally:
        served.stop()
        served.wait()
        signal.signal(signal.SIGTERM, before)


def _say(pipe: int, port: int) -> None:
    os.write(pipe, f"{port}\n".encode())
    os.close(pipe)
