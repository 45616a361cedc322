"""PostgreSQL 18 as a child process, reached by a Unix socket that only its account may open."""

import contextlib
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import asyncpg

from volano.core.sockets import socket_folder
from volano.hosting.services.binaries import Account, postgres_programs
from volano.hosting.services.server import LocalServer, in_launcher

SOCKET_NAME = ".s.PGSQL.5432"
# The last one keeps shared memory in the data folder, where a test that kills leaves nothing else.
UNSAFE_BUT_FAST = (
    "fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off",
    "dynamic_shared_memory_type=mmap",
)  # fmt: skip


class PostgresServer(LocalServer):
    """A PostgreSQL whose data lives in `folder`; `fsync=False` is for tests only.

    `url` leads to the database `volano` as its owner `volano`, who is no superuser: row-level
    security holds for it. Root starts the server as nobody.
    """

    name: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        super().__init__(folder)
        self.account = Account.unprivileged()
        self.data = self.folder / "data"
        self.socket = self.folder / "socket"
        self._settings = ["listen_addresses=", "timezone=UTC", "log_timezone=UTC"]
        self._settings += [] if fsync else UNSAFE_BUT_FAST
        self._sync = fsync
        self._programs = Path()

    @property
    def url(self) -> str:
        """`postgresql://volano@/volano?host=<socket folder>`."""
        return self.url_of("volano")

    def url_of(self, database: str, user: str = "volano") -> str:
        """Return the address of another database of this server."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket), safe='/')}"

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop it cleanly, which takes less than 0.1 s, or by force after `timeout_s`."""
        super().stop(timeout_s)
        with contextlib.suppress(OSError):  # a stand-in in the temp folder should not stay there
            self.socket.rmdir()

    def _prepare(self) -> None:
        self._programs = postgres_programs(self.account)
        self.account.own(self.folder)
        self.socket = socket_folder(
            self.folder / "socket", longest_name=len(SOCKET_NAME), owner=self.account.user
        )
        if not self.data.exists():
            self._create_cluster()

    def _create_cluster(self) -> None:
        """Make the cluster beside its place, then move it: a crash leaves none or all of it."""
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        argv: list[str | Path] = [self._programs / "initdb", "-D", partial]
        argv += ["-A", "trust", "-U", "postgres"]
        argv += ["--locale=C", "-E", "UTF8", *([] if self._sync else ["--no-sync"])]
        with self.log.open("ab") as log:
            code = self._spawn(argv, {}, log.fileno()).wait()
        if code:
            raise self._failure(f"initdb ended with {code}")
        partial.rename(self.data)

    def _command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        argv: list[str | Path] = [self._programs / "postgres", "-D", self.data, "-k", self.socket]
        argv += [word for setting in self._settings for word in ("-c", setting)]
        return argv, {}

    async def _probe(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url_of("postgres", user="postgres"), timeout=5)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            return False
        try:
            await _ensure_database(connection)
        finally:
            await connection.close()
        return True


async def _ensure_database(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'volano'"):
        await connection.execute("CREATE ROLE volano LOGIN CREATEDB")
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'volano'"):
        await connection.execute("CREATE DATABASE volano OWNER volano")


def execute(url: str, *statements: str) -> None:
    """Run statements in the database at `url`, one transaction each; blocks until they are done."""
    in_launcher(_execute(url, statements))


async def _execute(url: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(url, timeout=30, command_timeout=60)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
