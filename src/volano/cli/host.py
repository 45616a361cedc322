"""`volano up`, `migrate`, `settings`: hosting a server; the only door from commands to app.py."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

from volano import __version__, app
from volano.app import Role, Settings
from volano.cli.steps import Steps
from volano.cli.terminal import Here, note
from volano.sdk import config
from volano.sdk.client import Client


def up(
    *,
    terminal: Here,
    home: Annotated[Path | None, note("Folder of everything embedded; else .volano.")] = None,
    host: Annotated[str | None, note("Address to listen on.")] = None,
    port: Annotated[int | None, note("Port to listen on; 0 takes a free one.")] = None,
    processes: Annotated[int | None, note("API processes.")] = None,
    role: Annotated[Role, note("What to run here.")] = "all",
    real: Annotated[bool, note("On a real PostgreSQL and S3, started here from wheels.")] = False,
    once: Annotated[bool, note("Turn the wheel once, then stop.")] = False,
    empty: Annotated[bool, note("Without synthetic drawings and a first model.")] = False,
) -> int:
    """Start a server here; the first time it makes a workspace, drawings and a first model.

    Everything lies in one folder (.volano); Ctrl-C drains and stops.

    Example:
        volano up --port 8000
    """
    settings = app.read_settings(
        home=str(home) if home else None, host=host, port=port, processes=processes
    )
    steps = Steps(terminal)
    steps.title(f"Volano {__version__}")
    with ExitStack() as stack:
        if real:
            settings = stack.enter_context(app.real_services(settings))
            steps.done("PostgreSQL and S3 answer")
        key = asyncio.run(app.prepare(settings))
        steps.done("database ready")
        served = stack.enter_context(_serving(settings, role))
        url = f"http://{'localhost' if served.host == '127.0.0.1' else served.host}:{served.port}"
        steps.done("worker ready" if role == "worker" else f"server at {url}")
        _turn(settings, steps, url, key, role=role, wanted=role == "all" and not empty)
        if once:
            served.stop()
        return served.wait()


def migrate(*, terminal: Here, home: Annotated[Path | None, note("As in `up`.")] = None) -> None:
    """Bring the database to the version of this program.

    Example:
        volano migrate
    """
    settings = app.read_settings(home=str(home) if home else None)
    asyncio.run(app.migrate(settings.db_url))
    terminal.confirm(f"{settings.db_url.partition('@')[2] or settings.db_url} is up to date")


def settings(*, terminal: Here) -> None:
    """Every setting of a server: its variable, its default, what it means.

    Example:
        VOLANO_PORT=9000 volano up
    """
    columns = {
        "VARIABLE": lambda row: row[0],
        "DEFAULT": lambda row: row[1],
        "MEANING": lambda row: row[2],
    }
    terminal.rows(app.settings_table(), columns, none="")


def _turn(
    settings: Settings, steps: Steps, url: str, key: str | None, *, role: Role, wanted: bool
) -> None:
    """Show the key once and keep it for commands typed here; turn the wheel for the first time."""
    path = settings.home_path / config.PROJECT_FILE.name
    if key is not None:
        config.write(url, key, path)
        steps.done(
            f"workspace {app.WORKSPACE!r}; its admin key, shown this once and kept in {path}:"
        )
        steps.line(key)
    kept = config.kept(path)
    if kept is not None and kept.url != url and role != "worker":
        config.write(url, kept.key, path)  # the same server, now on another port
    if wanted and kept is not None:
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
