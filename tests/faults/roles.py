"""A server as its operator runs it: `volano up` once per role, each of which can be killed."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import asyncpg
import psutil

from volano.hosting.services import PostgresServer, S3Server
from volano.hosting.services.server import in_launcher
from volano.sdk import config

Role = Literal["api", "worker"]
Backend = Literal["sqlite", "postgresql"]

PATIENCE_S = 60.0

IMPATIENT = {
    "VOLANO_LOG": "warning",
    "VOLANO_SEGMENT_AGE_S": "0.3",
    "VOLANO_SEGMENT_MERGE_S": "0.5",
    "VOLANO_BLOB_GRACE_S": "10",
    "VOLANO_JOBS_SWEEP_S": "0.1",
    "VOLANO_JOBS_BEAT_S": "0.5",
    "VOLANO_JOBS_LEASE_S": "3",
    "VOLANO_HTTP_DRAIN_S": "5",
    "VOLANO_RUN_THREADS": "1",
}
"""Settings with which a killed worker's jobs are taken up after seconds."""


def wait_for(fact: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return the fact's value once it is true."""
    until = time.monotonic() + seconds
    while not (value := fact()):
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)
    return value


class Up:
    """One `volano up --role …`: the command, below it a supervisor, below that the role."""

    def __init__(self, role: Role, home: Path, settings: Mapping[str, str]) -> None:
        self.role, self.home, self.settings = role, home, settings
        self.log = home.with_name(f"{role}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._seen = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "volano", "up", "--empty", "--port", "0"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--role", self.role, "--home", str(self.home)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, **IMPATIENT, **self.settings},
            )
        wait_for(self._started, f"start of {self.role}")
        if self.role == "api":
            self.url = re.findall(r"server at (http://\S+)", self._said())[-1]

    def leaves(self) -> list[psutil.Process]:
        """Return the processes that play the role."""
        return [leaf for middle in self._tops()[1:] for leaf in middle.children()]

    def kill(self, *, whole: bool) -> list[psutil.Process]:
        """Kill the role alone, which its supervisor replaces, or all; return what was below it."""
        tops, leaves = self._tops(), self.leaves()
        below = [process for leaf in leaves for process in leaf.children(recursive=True)]
        # Stopped first, top down, so that nobody notices the death of another and acts on it.
        doomed = [*tops, *leaves] if whole else leaves
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in doomed:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        if whole:
            self._ended()
        return below

    def everybody(self) -> list[psutil.Process]:
        """Return the command and all below it."""
        if self._process is None:
            return []
        command = psutil.Process(self._process.pid)
        return [command, *command.children(recursive=True)]

    def running(self) -> bool:
        """Return whether the command is up."""
        return self._process is not None

    def stop(self) -> int | None:
        """Ask it to drain; its exit code (None where it was not there)."""
        if self._process is None:
            return None
        self._process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self._process is not None
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code

    def _tops(self) -> list[psutil.Process]:
        """Return the command and its supervisor."""
        assert self._process is not None
        command = psutil.Process(self._process.pid)
        return [command, *command.children()]

    def _started(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.role} did not start:\n{self._said()}")
        return "ready after" in self._said()

    def _said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._seen)
            return log.read().decode(errors="replace")


class Fleet:
    """The API and the worker of one server, on one home and one pair of stores."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.home = folder / "home"
        self.settings = settings
        self.roles: dict[Role, Up] = {
            "api": Up("api", self.home, settings),
            "worker": Up("worker", self.home, settings),
        }
        self.key = ""
        self._seen: set[psutil.Process] = set()

    def start(self) -> None:
        """Start what is not there; the API first, as it makes the database."""
        for up in self.roles.values():
            if not up.running():
                up.start()
            if not self.key:
                kept = config.kept(self.home / config.PROJECT_FILE.name)
                assert kept is not None
                self.key = kept.key

    def stop(self) -> dict[Role, int | None]:
        """Ask both to drain; their exit codes."""
        self.remember()
        return {role: up.stop() for role, up in self.roles.items()}

    def query(self, sql: str) -> list[Any]:
        """Read rows of the database past the product's own code."""
        url = self.settings.get("VOLANO_DB")
        if url:
            return in_launcher(_query(url, sql))
        with closing(sqlite3.connect(self.home / "volano.db", timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    def remember(self) -> None:
        """Note who runs now, to find them again when their parents are gone."""
        for up in self.roles.values():
            self._seen |= set(up.everybody())

    def processes(self) -> list[psutil.Process]:
        """Find everything that still runs for this home, whoever its parent is."""
        found = {process for process in self._seen if process.is_running()}
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if any(str(self.home) in word for word in process.cmdline()):
                    found.add(process)
        return list(found)


async def _query(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=30, command_timeout=60)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@contextmanager
def stores(backend: Backend, folder: Path) -> Iterator[dict[str, str]]:
    """Start fresh stores of a kind and yield their settings; PostgreSQL with fsync, as in use."""
    if backend == "sqlite":
        yield {}
        return
    with PostgresServer(folder / "postgres") as postgres, S3Server(folder / "s3") as s3:
        yield {
            "VOLANO_DB": postgres.url,
            "VOLANO_BLOBS": s3.url,
            "VOLANO_S3_ACCESS_KEY": s3.access_key,
            "VOLANO_S3_SECRET_KEY": s3.secret_key,
        }


@contextmanager
def fleet(backend: Backend, folder: Path) -> Iterator[Fleet]:
    """Start a server on fresh stores; leave nothing of it afterwards."""
    with stores(backend, folder) as settings:
        made = Fleet(folder, settings)
        try:
            made.start()
            yield made
        finally:
            made.stop()
            for left in made.processes():
                with suppress(psutil.NoSuchProcess):
                    left.kill()
