"""Hosting a server: what `volano up` does, and the only door from commands to app.py."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from volano import __version__, app
from volano.app import Role, Settings
from volano.cli import problems
from volano.cli.steps import Steps
from volano.cli.terminal import Terminal
from volano.sdk import config
from volano.sdk.client import Client
from volano.spec.errors import VolanoError
from volano.spec.loop import Diagnosis

_EVERYWHERE = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
"""Hosts that `localhost` reaches."""


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
    _make_home(settings)
    steps = Steps(terminal)
    steps.title(f"Volano {__version__}")
    with ExitStack() as stack:
        server = stack.enter_context(_started(order.role))
        if order.real:
            settings = stack.enter_context(app.real_services(settings))
            steps.done("PostgreSQL and S3 answer")
        key = asyncio.run(app.prepare(settings))
        steps.done("database ready")
        port = server.serve(settings)
        url = address(settings.host, port)
        steps.done("worker ready" if order.role == "worker" else f"server at {url}")
        _turn(settings, steps, url, key, order)
        if order.once:
            server.stop()
        return server.wait()


def migrate(home: Path | None) -> str:
    """Bring the database up to date; which one it was, without its password."""
    settings = app.read_settings(home=_text(home))
    asyncio.run(app.migrate(settings.db_url))
    return settings.db_url.partition("@")[2] or settings.db_url


def doctor(home: Path | None, *, fix: bool) -> Diagnosis:
    """What is damaged in everything that a server stores."""
    return asyncio.run(app.examine(app.read_settings(home=_text(home)), fix=fix))


def settings() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting of a server."""
    return app.settings_table()


def address(host: str, port: int) -> str:
    """Under which URL programs of this machine reach a server that listens on `host`."""
    if host in _EVERYWHERE:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _make_home(settings: Settings) -> None:
    """Raises: FileUnusable."""
    try:
        settings.home_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise problems.unusable(settings.home_path, error) from None


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


class _Server:
    """The server in a program of its own, which loads while this one prepares the database.

    Not a fork: this process has run the object store's client, whose threads a fork would lose.
    """

    def __init__(self, role: Role) -> None:
        told, tell = os.pipe()
        command = [sys.executable, "-m", "volano.cli.hosting", role, str(tell), str(os.getpid())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(tell,))
        os.close(tell)
        self._told = told

    def serve(self, settings: Settings) -> int:
        """Let it serve with these settings; the port, once it is ready.

        Raises: SystemExit (it ended instead, and has said why).
        """
        assert self.process.stdin is not None
        with self.process.stdin as pipe:
            pipe.write(msgspec.json.encode(settings))
        with os.fdopen(self._told) as told:
            port = told.readline()
        if not port:
            raise SystemExit(self.wait())
        return int(port)

    def stop(self) -> None:
        """Ask it to drain and end."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """The exit code, once it has ended; Ctrl-C reaches it by the terminal."""
        while True:
            with suppress(KeyboardInterrupt):
                return self.process.wait()


@contextmanager
def _started(role: Role) -> Iterator[_Server]:
    """A server that ends with the block, and with this process however that ends."""
    server = _Server(role)
    # Without a handler this process would be gone before its server has drained, and as the first
    # process of a container it would not hear the signal at all.
    before = signal.signal(signal.SIGTERM, lambda number, frame: server.stop())
    try:
        yield server
    finally:
        server.stop()
        server.wait()
        signal.signal(signal.SIGTERM, before)


def _serve(role: Role, tell: int, parent: int) -> int:
    """The program of the server: settings from standard input, its port to the pipe `tell`."""
    text = sys.stdin.buffer.read()
    if not text:
        return 0
    settings = msgspec.json.decode(text, type=Settings)
    try:
        return app.serve(settings, role, parent, lambda port: _say(tell, port))
    except VolanoError as error:
        terminal = Terminal()
        terminal.say(problems.block(error, terminal.ink))
        return problems.exit_code(error)


def _say(pipe: int, port: int) -> None:
    os.write(pipe, f"{port}\n".encode())
    os.close(pipe)


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))  # type: ignore[arg-type] # a Role: this program's own argument
