"""Tests of `volano data import`: every drawing arrives, whatever stops it on the way."""

import json
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM
from tests.sdk.scripted import page, problem, value
from volano.schemas.common import Overloaded
from volano.schemas.labeling import Outcome

STROKES = "START\n10,-20,0\n30,-40,250\nBREAK\n"
STORED = Outcome(id="x", stored=True)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """150 drawings, more than one request takes."""
    return packed(tmp_path / "strokes.zip", {name(n): STROKES for n in range(150)})


def name(n: int) -> str:
    return f"strokes/Greek/character{n % 3 + 1:02}/{n:04}_{n % 20 + 1:02}.txt"


def packed(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for member, text in members.items():
            opened.writestr(member, text)
    return path


@pytest.fixture
def taking(script):
    """A server that stores a batch of 100, then one of 50."""
    script.on("GET", "/shapes", page())
    script.on("POST", "/drawings/import", value([STORED] * 100, 201), value([STORED] * 50, 201))
    return script


def test_an_archive_is_stored_with_its_drawers_and_characters(ask, taking, archive):
    done = ask("data", "import", "--format", "omniglot", str(archive))

    assert done.code == 0
    assert "✓ 150 drawings stored\n" in done.err
    assert "150/150 drawings" in done.err
    first, second = taking.bodies("POST", "/drawings/import")
    assert (len(first["drawings"]), len(second["drawings"])) == (100, 50)
    assert first["origin"] == "omniglot"
    assert first["drawings"][0]["contributor"] == "greek-01"
    assert {
        k: v
        for k, v in first["drawings"][0]["drawing"]["strokes"][0]["points"][0].items()
        if v is not None
    } == {"x": 10.0, "y": 20.0, "timestamp": 0.0}
    shapes = [sent["name"] for sent in taking.bodies("POST", "/shapes")]
    assert shapes == ["greek-character01", "greek-character02", "greek-character03"]


def test_what_was_sent_is_not_sent_again_unless_asked(ask, taking, archive):
    words = ["data", "import", "--format", "omniglot", str(archive)]
    ask(*words)
    done = ask(*words)
    assert done.code == 0
    assert "✓ 0 drawings stored, 150 were there already" in done.err
    assert len(taking.bodies("POST", "/drawings/import")) == 2

    taking.on("POST", "/drawings/import", value([STORED] * 100), value([STORED] * 50))
    ask(*words, "--again")
    assert len(taking.bodies("POST", "/drawings/import")) == 4


def test_bad_drawings_are_reported_one_by_one_and_the_rest_is_stored(ask, taking, tmp_path: Path):
    members = {name(0): STROKES, name(1): "nonsense", name(2): STROKES, "strokes/readme.md": "?"}
    refused = Outcome(id="bad-id", stored=False, code="bad-canvas", detail="It is too small.")
    taking.on("POST", "/drawings/import", value([STORED, refused], 201))
    words = ["data", "import", "--format", "omniglot", str(packed(tmp_path / "b.zip", members))]

    done = ask(*words)
    assert done.code == 1
    assert "✓ 1 drawing stored" in done.err
    assert "1 other file left out: strokes/readme.md\n" in done.err
    assert "2 drawings left out:" in done.err
    assert "  bad-id  bad-canvas: It is too small.\n" in done.err
    assert f"  {name(1)}  line 1 is not START\n" in done.err

    again = ask(*words, "--json")
    reasons = {one["drawing"]: one["reason"] for one in json.loads(again.out)["bad"]}
    assert reasons.keys() == {"bad-id", name(1)}
    assert json.loads(again.out)["foreign"] == ["strokes/readme.md"]
    assert again.code == 1


def test_files_that_are_no_drawings_are_left_out_with_a_word_and_no_error(ask, script, tmp_path):
    strangers = ["README.md", "s/Thumbs.db", "__MACOSX/._s", "s/.DS_Store"]
    members = {name(n): STROKES for n in range(12)} | dict.fromkeys(strangers, "?")
    script.on("GET", "/shapes", page())
    script.on("POST", "/drawings/import", value([STORED] * 12, 201))

    done = ask("data", "import", "--format", "omniglot", str(packed(tmp_path / "b.zip", members)))

    assert done.code == 0
    assert "12/12 drawings" in done.err
    assert "left out: README.md, s/Thumbs.db, __MACOSX/._s, …\n" in done.err


def test_an_interrupted_import_says_so_and_goes_on_where_it_was(ask, taking, archive, environ):
    busy = problem(Overloaded(), retry_after="50")
    taking.on("POST", "/drawings/import", value([STORED] * 100, 201), busy)
    words = ["data", "import", "--format", "omniglot", str(archive)]
    command = subprocess.Popen(
        [*PROGRAM, *words, "--url", taking.url], stderr=subprocess.PIPE, env=environ, text=True
    )
    until = time.monotonic() + 30
    while len(taking.bodies("POST", "/drawings/import")) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=30)

    assert command.returncode == 130
    assert "Stopped at 100 of 150." in said
    assert "Traceback" not in said

    taking.on("POST", "/drawings/import", value([STORED] * 50, 201))
    done = ask(*words)
    assert "✓ 50 drawings stored, 100 were there already" in done.err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"no zip", "File is not a zip file")],
)
def test_a_file_that_cannot_be_read_is_named(ask, taking, tmp_path: Path, content, said):
    path = tmp_path / "strokes.zip"
    if content is not None:
        path.write_bytes(content)
    done = ask("data", "import", "--format", "omniglot", str(path))

    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_format_that_is_not_known_is_misuse(ask):
    done = ask("data", "import", "--format", "quickdraw", "x.zip")

    assert done.code == 2
    assert "'omniglot'" in done.err
