"""Tests of the folder of a server: one server at a time, its owner's alone, and a way back in."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Volano
from tests.cli.test_server import archive
from volano import app
from volano.cli.home_lock import HomeTaken, lock_home

pytestmark = pytest.mark.slow


class Running:
    """One `volano up --empty` on the folder `home`."""

    def __init__(self, folder: Path, environ: dict[str, str], words: tuple[str, ...]) -> None:
        self.log = folder / f"up-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "up", "--empty", "--home", "home", "--port", "0", *words],
                cwd=folder,
                env=environ,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while "ready after" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, "the server is not ready after a minute"
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return re.findall(r"server at (http://\S+)", self.said)[-1]

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)


Start = Callable[..., Running]


@pytest.fixture
def start(folder: Path, environ: dict[str, str]) -> Iterator[Start]:
    """`start(*words)` is a server on the folder `home`; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(*words: str) -> Running:
            running = Running(folder, environ, words)
            stack.callback(running.end)
            return running

        yield start


def key_of(folder: Path) -> str:
    """The kept key."""
    kept = json.loads((folder / "home" / "client.json").read_text())
    return str(kept["keys"][kept["url"]])


def test_a_folder_has_one_server_and_a_killed_one_frees_it(start, volano, folder):
    first = start()
    kept = (folder / "home" / "client.json").read_text()

    for words in (["up", "--empty", "--once"], ["up", "--role", "worker"], ["migrate"]):
        done = volano(*words, "--home", "home")
        assert done.code == 3
        assert f"The folder {folder / 'home'} is in use: process {first.process.pid}" in done.err
        assert "give another --home" in done.err
    assert (folder / "home" / "client.json").read_text() == kept

    first.end(signal.SIGKILL)
    start()


ODD = [
    *("x?1", "x?2", "a#b", "a&b=c", "@host:1", "a,b"),
    *("a%41", "feature%2Fdraw", "100%", "%"),
    *("a b", " a", "new\nline", "quo'te\"", "back\\slash", "-x", "~", "$HOME", "*"),
    *("ümlaut-한글", "\udcff", "a" * 200),
]
"""Names of folders that a URL, a shell, a format or a codec would read otherwise."""


async def test_everything_of_a_server_lies_in_its_home_whatever_that_is_called(tmp_path: Path):
    with contextlib.chdir(tmp_path):
        for name in ODD:
            settings = app.read_settings(home=f"./homes/{name}", bus="local:")
            key = await app.prepare(settings)
            assert key is not None, f"{name!r} has a database that was there before"
            async with app.open_context(settings) as ctx:
                await ctx.blobs.put("ws", b"x")
            home = tmp_path / "homes" / name
            assert {p.name for p in home.iterdir()} == {"blobs", "metrics", "secret", "volano.db"}
            assert list(home.glob("blobs/ws/*/*"))
    assert sorted(path.name for path in (tmp_path / "homes").iterdir()) == sorted(ODD)
    assert [path.name for path in tmp_path.iterdir()] == ["homes"]


def test_a_server_starts_in_an_odd_folder_as_in_any(program, folder):
    for name in ("x?1", "x?2", "\udcff %41 한"):
        done = program("up", "--empty", "--once", "--port", "0", "--home", name)
        assert (done.code, done.out) == (0, "")
        assert "its admin key, kept in " in done.err
        assert (folder / name / "volano.db").is_file()


def test_ctrl_c_while_it_starts_ends_everything_without_a_traceback(folder, environ):
    for moment in ("Volano", "database ready", "server at"):
        command = [*PROGRAM, "up", "--empty", "--home", "home", "--port", "0"]
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stderr is not None
            told = ""
            while moment not in told:
                line = process.stderr.readline()
                assert line, f"it ended before it said {moment!r}: {told}"
                told += line
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
            told += process.stderr.read()
        assert process.returncode in (0, 130), told
        assert "Traceback" not in told, told


def test_an_api_and_a_worker_share_a_folder(start, volano):
    api, worker = start("--role", "api"), start("--role", "worker")

    assert api.process.poll() is worker.process.poll() is None
    assert volano("up", "--role", "worker", "--home", "home").code == 3


def test_what_holds_a_folder_is_given_time_to_drain(tmp_path: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    with lock_home(tmp_path, "api", patience_s=0.0):
        (tmp_path / "api.lock").write_text(f"{gone.pid}\n")
        began = time.monotonic()
        with pytest.raises(HomeTaken), lock_home(tmp_path, "all", patience_s=0.3):
            pass
        assert time.monotonic() - began >= 0.3
    with lock_home(tmp_path, "all", patience_s=0.0):
        assert (tmp_path / "worker.lock").read_text() == f"{os.getpid()}\n"


def test_an_import_after_an_older_copy_was_restored_stores_what_is_missing(start, volano, folder):
    settings = app.read_settings(home="home")
    asyncio.run(app.prepare(settings))
    shutil.copytree("home", "older")
    words = ["data", "import", "--format", "omniglot", str(archive(folder / "strokes.zip"))]

    first = start()
    assert "30 drawings stored" in volano(*words, *at(first, key_of(folder))).err
    first.end()
    shutil.rmtree("home")
    Path("older").rename("home")

    restored = start()
    done = volano(*words, *at(restored, key_of(folder)))
    assert done.code == 0
    assert "✓ 30 drawings stored\n" in done.err


def test_a_folder_and_all_in_it_is_for_its_owner_alone(start, folder):
    start()

    home = folder / "home"
    shut = {path: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.rglob("*")]}
    assert shut[home] == 0o700
    assert {path: oct(mode) for path, mode in shut.items() if mode & 0o077} == {}


@pytest.mark.parametrize("loss", ["revoked", "removed"])
def test_whoever_lost_the_key_gets_another_by_starting_the_server(
    start: Start, volano: Volano, folder: Path, loss: str
):
    first = start()
    lost = key_of(folder)
    if loss == "revoked":
        (key,) = json.loads(volano("keys", "ls", "--json", *at(first, lost)).out)
        other = volano("keys", "create", *at(first, lost)).out.strip()
        assert volano("keys", "revoke", key["id"], *at(first, other)).code == 0
    first.end()
    if loss == "removed":
        (folder / "home" / "client.json").unlink()

    second = start()
    why = "no key was kept" if loss == "removed" else "the kept key has expired or was revoked"
    assert f"{why}; a new admin key, kept in " in second.said
    new = key_of(folder)
    assert new != lost
    assert second.said.count(new) == 1
    assert "admin" in volano("whoami", *at(second, new)).out
    second.end()

    assert "a new admin key" not in start().said
    assert key_of(folder) == new


def at(server: Running, key: str) -> tuple[str, ...]:
    return "--url", server.url, "--key", key
