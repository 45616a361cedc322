"""Fixtures of the commands' tests: the program as a process, with a server that has something."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.canned import furnish
from tests.sdk.scripted import Script, served
from volano.cli import main

PROGRAM = [sys.executable, "-m", "volano"]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of one command."""

    code: int
    out: str
    err: str


Volano = Callable[..., Done]


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the program's processes keep compiled modules: they start three times as fast."""
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def environ(tmp_path: Path, bytecode: Path) -> dict[str, str]:
    """An environment without anybody's configuration in it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("VOLANO_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {
        "PYTHONPYCACHEPREFIX": str(bytecode),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "80",
    }


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that has one of everything."""
    with served(Script()) as running:
        furnish(running)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to run commands in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def volano(
    environ: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Volano]:
    """Runs one command to its end, in this process: a process for each takes minutes."""

    def run(*words: str) -> Done:
        code = main.run(words)
        shown = capsys.readouterr()
        return Done(code=code, out=shown.out, err=shown.err)

    with contextlib.chdir(folder), only(environ):
        yield run


@contextlib.contextmanager
def only(given: dict[str, str]) -> Iterator[None]:
    """This process has this environment meanwhile."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def ask(volano: Volano, script: Script) -> Volano:
    """Runs one command against the server that has something, in this process."""

    def run(*words: str) -> Done:
        return volano(*words, "--url", script.url, "--key", "vk_test")

    return run


@pytest.fixture
def program(environ: dict[str, str], folder: Path) -> Volano:
    """Runs one command to its end, as a process of its own."""

    def run(*words: str, stdin: bytes = b"", url: str = "") -> Done:
        given = environ | ({"VOLANO_URL": url, "VOLANO_KEY": "vk_test"} if url else {})
        done = subprocess.run(
            [*PROGRAM, *words], input=stdin, capture_output=True, env=given, cwd=folder, timeout=60
        )
        return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    return run
