"""Hosting a server: what `volano up` does, and the only door from commands to app.py."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from volano import __version__, app
from volano.app import Role, Settings
from volano.cli import errors
from volano.cli.home_lock import lock_home
from volano.cli.steps import Steps
from volano.cli.terminal import Terminal
from volano.schemas.accounts import KeyRefused
from volano.schemas.errors import Invalid, VolanoError
from volano.schemas.loop import Diagnosis
from volano.sdk import config
from volano.sdk.client import Client

_EVERYWHERE = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
"""Hosts that `localhost` reaches."""

_OUTLIVES_DRAIN_S = 3.0
"""A server that was told to drain has ended this long after its `http_drain_s`, if not before."""


class NoServerHere(Invalid):
    """No server has run in {home}."""

    remedy = "Give its folder with --home; `volano up` starts a new server."


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What `volano up` was told."""

    home: Path | None
    host: str | None
    port: int | None
    processes: int | None
    role: Role
    real: bool
    once: bool
    empty: bool
    new_secret: bool


def up(options: UpOptions, terminal: Terminal) -> int:
    """Serve until told to end; return the exit code."""
    settings = app.read_settings(
        home=_text(options.home),
        host=options.host,
        port=options.port,
        processes=options.processes,
    )
    steps = Steps(terminal)
    steps.title(f"Volano {__version__}")
    with ExitStack() as stack:
        locks = stack.enter_context(_home(settings, options.role))
        server = stack.enter_context(_started(options.role, locks))
        if options.real:
            _let_nobody_through(settings.home_path)
            settings = stack.enter_context(app.real_services(settings))
            steps.done("PostgreSQL and S3 answer")
        new_key = asyncio.run(app.prepare(settings, new_secret=options.new_secret))
        steps.done("database ready")
        url = address(settings.host, server.serve(settings))
        if options.role == "worker":
            steps.done("worker ready")
        else:
            steps.done(f"server at {url}")
            _keep_key(settings, steps, url, new_key)
        if options.role == "all" and not options.empty:
            _turn_first(settings, steps, url, new_key, advise=not options.once)
        steps.end()
        if options.once:
            if options.home:
                terminal.then(f"volano up --home {shlex.quote(str(options.home))}")
            else:
                terminal.then("volano up")
            server.stop()
        return server.wait()


def migrate(home: Path | None) -> str:
    """Bring the database up to date; return its address without user, password and options.

    Raises: HomeTaken (a server runs on it), what app.migrate raises.
    """
    settings = app.read_settings(home=_text(home))
    with _home(settings, "all"):
        asyncio.run(app.migrate(settings.db_url))
    scheme, _, rest = settings.db_url.partition("://")
    if scheme == "sqlite":
        return settings.db_url
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def doctor(home: Path | None, *, fix: bool, requeue: bool) -> Diagnosis:
    """Return what is damaged in everything that a server stores.

    Raises: NoServerHere (nothing is made there), what app.examine raises; HomeTaken (a server with
    its own PostgreSQL and S3 runs there).
    """
    settings = app.read_settings(home=_text(home))
    # What the first start leaves behind: the database, or the secret beside one that is elsewhere.
    made = settings.home_path / ("secret" if settings.db else "volano.db")
    with ExitStack() as stack:
        if not made.exists() and not (settings.db and settings.secret):
            if settings.db or not app.has_services(settings):
                raise NoServerHere(home=str(settings.home_path))
            stack.enter_context(_home(settings, "all"))
            _let_nobody_through(settings.home_path)
            settings = stack.enter_context(app.real_services(settings))
        return asyncio.run(app.examine(settings, fix=fix, requeue=requeue))


def settings() -> list[tuple[str, str, str]]:
    """List (variable, default, meaning) of every setting of a server."""
    return app.settings_table()


def address(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on `host`."""
    if host in _EVERYWHERE:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _home(settings: Settings, role: Role) -> Iterator[tuple[int, ...]]:
    """Make the folder if needed and lock it for this role; what is written meanwhile is private.

    Yield the descriptors of the locks. Raises: HomeTaken, OSError.
    """
    folder = settings.home_path
    before = os.umask(0o077)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        patience_s = settings.http_drain_s + _OUTLIVES_DRAIN_S
        with lock_home(folder, role, patience_s=patience_s) as locks:
            yield locks
    finally:
        os.umask(before)


def _let_nobody_through(home: Path) -> None:
    """Let nobody, as whom root's PostgreSQL runs, pass through these folders, not list them."""
    if os.geteuid() == 0:
        for folder in (home, home / "services"):
            folder.mkdir(exist_ok=True)
            folder.chmod(folder.stat().st_mode | 0o011)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _client_file(settings: Settings) -> Path:
    """Return where commands that are typed beside the home find the server and its key."""
    return settings.home_path / config.PROJECT_FILE.name


def _keep_key(settings: Settings, steps: Steps, url: str, new: str | None) -> None:
    """Keep the key and the address for commands typed here; show a key that is new."""
    path = _client_file(settings)
    kept = config.kept(path)
    why = f"workspace {app.WORKSPACE!r}; its admin key"
    if new is None and (lost := _why_lost(settings, url, kept)):
        new, why = asyncio.run(app.recover(settings)), f"{lost}; a new admin key"
    if new is not None:
        config.write(url, new, path)
        steps.done(f"{why}, kept in {path} for your eyes only:")
        steps.line(new)
    elif kept is not None and kept.url != url:
        config.write(url, kept.key, path)  # the same server, now on another port
    if not config.is_found(path):
        steps.line("Commands find it with:")
        steps.line(f"export VOLANO_HOME={shlex.quote(str(settings.home_path))}")


def _why_lost(settings: Settings, url: str, kept: config.Profile | None) -> str:
    """Return why the host needs another key than the kept one; an empty text if it works.

    Who starts a server owns its folder and its database, so this opens nothing that was shut.
    Without a kept key that is so for the embedded database alone: another one has other hosts.
    """
    if kept is None:
        return "" if settings.db else "no key was kept"
    try:
        with Client(url, kept.key) as client:
            client.whoami()
    except KeyRefused:
        return "the kept key has expired or was revoked"
    return ""


def _turn_first(
    settings: Settings, steps: Steps, url: str, new_key: str | None, *, advise: bool
) -> None:
    """Turn the wheel for the first time, where a key is kept with which to do it."""
    from volano.cli.first_turn import first_turn

    if kept := config.kept(_client_file(settings)):
        with Client(url, kept.key) as client:
            first_turn(client, steps, key=new_key, advise=advise)


class _Server:
    """The server in a program of its own, which loads while this one prepares the database.

    Not a fork: this process has run the object store's client, whose threads a fork would lose.
    """

    def __init__(self, role: Role, locks: tuple[int, ...]) -> None:
        ready_read, ready_write = os.pipe()
        # -P: modules are never taken from the working folder, which is full of the user's own.
        program = [sys.executable, "-P", "-m", "volano.cli.local_server"]
        command = [*program, role, str(ready_write), str(os.getpid())]
        # A blocked signal stays blocked in the program: Ctrl-C would end it with a traceback while
        # it imports modules. Here it is only put off.
        with _interrupts_blocked():
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=(ready_write, *locks)
            )
        os.close(ready_write)
        self._ready = os.fdopen(ready_read)

    def serve(self, settings: Settings) -> int:
        """Let it serve with these settings; return its port once it is ready.

        Raises: SystemExit (it ended instead, and has said why).
        """
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as pipe:  # it has ended: see below
            pipe.write(json.dumps(asdict(settings)).encode())
        port = self._ready.readline()
        if not port:
            raise SystemExit(self.wait())
        return int(port)

    def stop(self) -> None:
        """Ask it to drain and end."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """Wait until it has ended and return its exit code; Ctrl-C reaches it by the terminal."""
        while True:
            with suppress(KeyboardInterrupt):
                return self.process.wait()

    def close(self) -> None:
        """End it, and close the pipes to it."""
        self.stop()
        self.wait()
        self._ready.close()
        if self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _started(role: Role, locks: tuple[int, ...]) -> Iterator[_Server]:
    """Start a server that ends with the block, and with this process however that ends."""
    server = _Server(role, locks)
    # Without a handler this process would be gone before its server has drained, and as the first
    # process of a container it would not hear the signal at all.
    before = signal.signal(signal.SIGTERM, lambda number, frame: server.stop())
    try:
        yield server
    finally:
        server.close()
        signal.signal(signal.SIGTERM, before)


def _serve(role: Role, ready: int, parent: int) -> int:
    """Serve below the process `parent`: settings come by standard input, the port goes to `ready`.

    Return the exit code.
    """
    # Ctrl-C is for the parent, which stops this process, until there is a handler for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    text = sys.stdin.buffer.read()
    if not text:
        return 0
    # Not msgspec: a folder's name may hold bytes that are no text, which json passes through.
    settings = Settings(**json.loads(text))

    def tell(port: int) -> None:
        os.write(ready, f"{port}\n".encode())
        os.close(ready)

    try:
        return app.serve(settings, role, parent, tell)
    except (VolanoError, OSError) as error:
        told = error if isinstance(error, VolanoError) else errors.unusable(error)
        terminal = Terminal()
        terminal.say(errors.block(told, terminal.ink))
        return errors.exit_code(told)


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))  # type: ignore[arg-type] # a Role: this program's own argument
