"""Tests of the commands against a real server: a stranger's first quarter of an hour."""

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM

pytestmark = pytest.mark.slow

SHAPES, DRAWERS = 3, 10
OMNIGLOT = ("--origin", "omniglot")
"""Other tests leave other records."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, bytecode: Path) -> Iterator[Path]:
    """A folder in which `volano up` runs."""
    folder = tmp_path_factory.mktemp("server")
    with (folder / "up.log").open("w") as log:
        server = subprocess.Popen(
            [*PROGRAM, "up", "--port", "0", "--empty"],
            cwd=folder,
            env=environ(folder, bytecode),
            stdout=log,
            stderr=log,
        )
    until = time.monotonic() + 60
    while "ready after" not in (folder / "up.log").read_text():
        assert server.poll() is None, (folder / "up.log").read_text()
        assert time.monotonic() < until, "the server is not ready after a minute"
        time.sleep(0.05)
    yield folder
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)


@pytest.fixture(scope="module")
def command(here: Path, bytecode: Path) -> Callable[..., str]:
    """Runs one command there, which must succeed; what it printed."""

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [*PROGRAM, *words],
            cwd=here,
            env=environ(here, bytecode),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def environ(folder: Path, bytecode: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("VOLANO_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPYCACHEPREFIX": str(bytecode)}


def archive(path: Path) -> Path:
    """Three shapes by ten drawers: a line, a cross, a corner, each a little different."""
    lines = [[(10, 10, 90, 90)], [(10, 10, 90, 90), (90, 10, 10, 90)], [(10, 10, 10, 90)]]
    with zipfile.ZipFile(path, "w") as opened:
        for shape in range(SHAPES):
            for drawer in range(DRAWERS):
                strokes = "".join(
                    f"{a + drawer},{-b},0\n{c - drawer},{-d},250\nBREAK\n"
                    for a, b, c, d in lines[shape]
                )
                name = f"strokes/Greek/character{shape + 1:02}/{shape:04}_{drawer + 1:02}.txt"
                opened.writestr(name, "START\n" + strokes)
    return path


@pytest.fixture(scope="module")
def imported(here: Path, command: Callable[..., str]) -> list[dict[str, object]]:
    """The records of an imported archive, once they are on the shelf."""
    command("data", "import", "--format", "omniglot", str(archive(here / "strokes.zip")))
    until = time.monotonic() + 60
    records: list[dict[str, object]] = []
    while len(records) < SHAPES * DRAWERS and time.monotonic() < until:
        time.sleep(0.2)
        records = json.loads(command("data", "ls", *OMNIGLOT, "--limit", "0", "--json"))
    assert len(records) == SHAPES * DRAWERS
    return records


def test_the_folder_of_a_server_needs_no_login(command):
    assert json.loads(command("whoami", "--json"))["role"] == "admin"
    assert "admin of default" in command("status")


def test_an_import_can_be_repeated_listed_shown_and_exported(here, command, imported):
    again = command("data", "import", "--format", "omniglot", str(here / "strokes.zip"), "--json")
    told = json.loads(again)
    assert told["stored"] == 0
    assert told["duplicates"] == 30
    assert told["bad"] == []

    one = command(
        "data", "ls", "--label", "greek-character02", "--contributor", "greek-03", "--json"
    )
    (record,) = json.loads(one)
    assert "greek-character02" in command("data", "show", record["id"])
    lines = command("data", "export", "--label", "greek-character02").splitlines()
    assert len(lines) == 10
    assert len(json.loads(lines[0])["strokes"]) == 2


def test_long_drawings_are_imported_in_as_many_requests_as_they_need(here, command):
    points = "".join(f"{n % 100}.25,-{n // 100}.25,{n * 8}\n" for n in range(1_600))
    with zipfile.ZipFile(here / "long.zip", "w") as opened:
        for n in range(100):
            opened.writestr(f"Long/character01/{n:04}_01.txt", f"START\n{points}BREAK\n")

    words = ["data", "import", "--format", "omniglot", str(here / "long.zip")]
    told = json.loads(command(*words, "--origin", "long", "--json"))

    assert told["stored"] == 100
    assert told["duplicates"] == 0
    assert told["bad"] == []


def test_equal_snapshots_have_equal_hashes(command, imported):
    words = [*OMNIGLOT, "--json", "--test-contributors", "*-01", "*-02", "greek-10"]
    one = json.loads(command("snapshots", "create", "letters", *words))
    two = json.loads(command("snapshots", "create", "others", *words))

    assert one["hash"] == two["hash"]
    assert one["by_split"]["test"] == 9
    assert one["id"] == json.loads(command("snapshots", "show", one["id"], "--json"))["id"]


def test_a_snapshot_is_fetched_for_training_without_the_server(here, command, imported):
    command("snapshots", "create", "fetched", *OMNIGLOT)
    command("snapshots", "pull", "fetched", "staged")

    kept = json.loads((here / "staged" / "snapshot.json").read_text())
    assert kept["id"] in command("snapshots", "show", "fetched")
    for split in ("train", "valid", "test"):
        assert (here / "staged" / f"{split}.parquet").read_bytes()[-4:] == b"PAR1"


def test_a_trained_version_answers_and_explains_itself(command, imported):
    snapshot = json.loads(command("snapshots", "create", "shapes", *OMNIGLOT, "--json"))
    words = ["train", "--snapshot", snapshot["id"], "--seconds", "60", "--epochs=2", "--json"]
    run = json.loads(command(*words))
    assert run["state"] == "finished"
    assert run["params"]["epochs"] == 2
    assert run["id"] in command("runs", "ls", "--state", "finished")

    version = run["version"]
    assert version in command("versions", "ls", "--model", "drawing")
    command("versions", "activate", version)
    assert version in command("endpoints", "ls")
    answer = json.loads(command("predict", "drawing", str(imported[0]["id"]), "--json"))
    assert version == answer["version"]

    explained = command("explain", version)
    assert run["id"] in explained
    assert snapshot["id"] in explained  # equal lists have one id and may have several names
    assert version in command("explain", "record", str(imported[0]["id"]))
    assert "no earlier version" in command("versions", "rollback", "drawing", code=1)


def test_a_run_can_be_cancelled(command, imported):
    snapshot = json.loads(command("snapshots", "create", "cancelled", *OMNIGLOT, "--json"))
    words = ["train", "--snapshot", snapshot["id"], "--seconds", "600", "--detach", "--json"]
    run = json.loads(command(*words))
    command("runs", "cancel", run["id"])
    command("runs", "watch", run["id"], code=1)

    command("runs", "watch", run["id"], code=1)
    assert json.loads(command("runs", "show", run["id"], "--json"))["state"] == "cancelled"
    assert "already cancelled" in command("runs", "cancel", run["id"], code=1)


def test_a_key_works_until_it_is_revoked(here, command):
    secret = command("keys", "create", "ci", "--role", "developer").strip()
    assert "developer" in command("whoami", "--key", secret)

    (key,) = [k for k in json.loads(command("keys", "ls", "--json")) if k["name"] == "ci"]
    command("keys", "revoke", key["id"])
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done = subprocess.run(
            [*PROGRAM, "whoami", "--key", secret], cwd=here, capture_output=True, text=True
        )
        if done.returncode:
            break
    assert "error: This key or session is not valid here." in done.stderr


def test_a_wrong_parameter_is_refused_with_what_there_is(command, imported):
    snapshot = json.loads(command("snapshots", "create", "refused", *OMNIGLOT, "--json"))
    said = command("train", "--snapshot", snapshot["id"], "--learning_rat=3", code=1)

    assert "learning_rate" in said
    assert "`volano train --help`" in said
