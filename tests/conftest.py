"""Fixtures for every test: the real servers, and what may be absent on a laptop."""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from hypothesis import HealthCheck, settings

from volano.core import telemetry
from volano.hosting.services import PostgresServer, S3Server, execute
from volano.schemas.services import ServiceNotInstalled

pytest_plugins = ["tests.fixtures_db", "tests.stages"]

NOT_IN_EVERY_MACHINE = ("no GPU", "no Landlock", "no seccomp", "no netem", "no cgroup", "not root")
"""How a reason starts that is also a reason in CI: hardware and kernel cannot be installed."""

ROOMY = Path("/dev/shm")


def pytest_configure() -> None:
    """Let children of a suite that runs in the background hear Ctrl-C, and log plainly.

    A shell hands an ignored Ctrl-C to what it starts with `&`, and that to its children. The log
    that structlog has by itself draws every variable of a traceback: 1 s each (measured). How long
    hypothesis takes for an example says something of the machine only.
    """
    given = settings.get_profile(settings.get_current_profile_name())
    patient = [*given.suppress_health_check, HealthCheck.too_slow]
    settings.register_profile("patient", given, deadline=None, suppress_health_check=patient)
    settings.load_profile("patient")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    plain = [structlog.processors.add_log_level, structlog.processors.format_exc_info]
    structlog.configure(processors=[*plain, telemetry.only_listed, telemetry.render_json])


def absent(reason: str) -> NoReturn:
    """Skip the test on a laptop, fail it in CI: there, everything that can be installed is."""
    if os.environ.get("CI") == "true" and not reason.startswith(NOT_IN_EVERY_MACHINE):
        pytest.fail(f"absent in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(name="absent", scope="session")
def absent_fixture() -> Callable[[str], NoReturn]:
    """`absent("no Landlock in this kernel")` for tests, which cannot import this file."""
    return absent


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("strokes-omniglot-small1")` is the folder of a real data set, or absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("VOLANO_TEST_DATA") or beside)

    def folder_of(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else absent(f"no data set {name!r}: set VOLANO_TEST_DATA")

    return folder_of


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where this worker's servers keep their data: in memory where that can be had."""
    root = ROOMY if os.access(ROOMY, os.W_OK) else Path(tempfile.gettempdir())
    for left in root.glob("volano-test-*"):
        if not _alive(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"volano-test-{os.getpid()}-", dir=root))
    folder.chmod(0o755)  # a server that runs as nobody must get through
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL where this role may create databases: our own, 0.6 s per worker.

    VOLANO_TEST_PG_URL names another one; its role should not be a superuser, for whom row-level
    security does not hold.
    """
    if given := os.environ.get("VOLANO_TEST_PG_URL"):
        yield given
        return
    server = PostgresServer(server_folder / "postgres", fsync=False)
    try:
        server.start()
    except ServiceNotInstalled as error:
        absent(f"{error} {error.advice}")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str, migrate: Callable[[str], None]) -> Iterator[str]:
    """The name of a database with our tables, made once per worker and then copied."""
    name = f"template_{uuid.uuid4().hex}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    migrate(_other_database(postgres_server, name))
    yield name
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of a database of this test's own, with our tables and no rows: about 30 ms."""
    name = f"test_{uuid.uuid4().hex}"
    execute(
        postgres_server,
        f"CREATE DATABASE {name} TEMPLATE {postgres_template} STRATEGY = FILE_COPY",
    )
    yield _other_database(postgres_server, name)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server(server_folder: Path) -> Iterator[S3Server]:
    """A real S3 server with one bucket, 1.3 s per worker; keep to a prefix of your own in it."""
    server = S3Server(server_folder / "s3")
    try:
        server.start()
    except ServiceNotInstalled as error:
        absent(f"{error} {error.advice}")
    yield server
    server.kill()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's, so it is there
        return True
    return True


def _other_database(url: str, name: str) -> str:
    address, _, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
