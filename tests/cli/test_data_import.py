"""Tests of `volano data import`: every drawing arrives, whatever stops it on the way."""

import json
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM
from tests.data.formats.trees import folder, picture
from tests.sdk.scripted import page, problem, value
from volano.schemas.common import Overloaded
from volano.schemas.datasets import Outcome

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
    point = first["drawings"][0]["drawing"]["strokes"][0]["points"][0]
    assert (point["x"], point["y"], point["timestamp"]) == (10.0, 20.0, 0.0)
    shapes = [sent["name"] for sent in taking.bodies("POST", "/shapes")]
    assert shapes == ["greek-character01", "greek-character02", "greek-character03"]


def test_the_server_is_asked_again_what_it_has(ask, taking, archive):
    words = ["data", "import", "--format", "omniglot", str(archive)]
    ask(*words)
    known = Outcome(id="x", stored=True, duplicate=True)
    taking.on("POST", "/drawings/import", value([known] * 100), value([known] * 49 + [STORED]))

    done = ask(*words)

    assert done.code == 0
    assert "✓ 1 drawing stored, 149 were there already\n" in done.err
    assert len(taking.bodies("POST", "/drawings/import")) == 4


def test_a_drawing_refused_under_an_old_limit_is_tried_again(ask, taking, tmp_path: Path):
    refused = Outcome(id="x", stored=False, code="too-many-points", detail="Too many.")
    taking.on("POST", "/drawings/import", value([refused]), value([STORED]))
    words = ["data", "import", "--format", "omniglot"]
    words += [str(packed(tmp_path / "one.zip", {name(0): STROKES}))]

    assert ask(*words).code == 1
    done = ask(*words)
    assert done.code == 0
    assert "✓ 1 drawing stored\n" in done.err


def test_bad_drawings_are_reported_one_by_one_and_the_rest_is_stored(ask, taking, tmp_path: Path):
    members = {name(0): STROKES, name(1): "nonsense", name(2): STROKES}
    refused = Outcome(id="bad-id", stored=False, code="bad-canvas", detail="It is too small.")
    taking.on("POST", "/drawings/import", value([STORED, refused], 201))
    words = ["data", "import", "--format", "omniglot", str(packed(tmp_path / "b.zip", members))]

    done = ask(*words)
    assert done.code == 1
    assert "✓ 1 drawing stored" in done.err
    assert "importing 3/3 drawings" in done.err
    assert "warning: 2 drawings left out:" in done.err
    assert f"  {name(2)}  bad-canvas: It is too small.\n" in done.err
    assert f"  file-unreadable: {name(1)} cannot be read: line 1 is not START" in done.err

    again = ask(*words, "--json")
    reasons = {one["file"]: one["code"] for one in json.loads(again.out)["bad"]}
    assert reasons == {name(2): "bad-canvas", name(1): "file-unreadable"}
    assert again.code == 1


FOREIGN = [
    "README.md",
    "s/Thumbs.db",
    "__MACOSX/._s",
    "s/.DS_Store",
    "s/Greek/character01/note.txt",
]


KEPT = ["README.md", "s/Greek/character01/note.txt", "s/Thumbs.db", "__MACOSX/._s", "s/.DS_Store"]
"""In the order in which they are told: what could be data first."""


def test_files_beside_the_drawings_are_named_and_no_failure(ask, taking, tmp_path: Path):
    members = {name(n): STROKES for n in range(12)} | dict.fromkeys([*FOREIGN, "strokes/"], "")
    taking.on("POST", "/drawings/import", value([STORED] * 12, 201))
    words = ["data", "import", "--format", "omniglot", str(packed(tmp_path / "b.zip", members))]

    done = ask(*words)
    assert done.code == 0
    assert "✓ 12 drawings stored\n" in done.err
    assert "importing 12/12 drawings" in done.err
    assert (
        f"warning: 5 other files left out: {', '.join(sorted(FOREIGN, key=KEPT.index))}" in done.err
    )
    assert sorted(json.loads(ask(*words, "--json").out)["foreign"]) == sorted(FOREIGN)


@pytest.mark.parametrize("members", [{}, {"README.md": "?"}])
def test_an_archive_without_drawings_is_a_failure(ask, taking, tmp_path: Path, members):
    path = packed(tmp_path / "b.zip", members)
    done = ask("data", "import", "--format", "omniglot", str(path))

    assert done.code == 1
    assert f"none of its {len(members)} files is <Alphabet>/characterNN/NNNN_DD.txt" in done.err


def test_the_wheel_turns_on_what_could_be_read(ask, taking, tmp_path: Path):
    members = {name(0): STROKES, name(1): "nonsense", "Thumbs.db": "?"}
    taking.on("POST", "/drawings/import", value([STORED], 201))

    done = ask("turn", str(packed(tmp_path / "b.zip", members)), "--model", "drawing")

    assert done.code == 0
    assert "✓ 1 drawing stored" in done.err
    assert "1 other file left out: Thumbs.db" in done.err
    assert "1 drawing left out:" in done.err
    assert "answers on endpoint" in done.err
    assert "volano versions activate" not in done.err, "it has just been activated"


def test_the_wheel_does_not_turn_on_nothing(ask, taking, tmp_path: Path):
    done = ask("turn", str(packed(tmp_path / "b.zip", {name(0): "nonsense"})))

    assert done.code == 1
    assert "1 drawing left out:" in done.err
    assert taking.bodies("POST", "/snapshots") == []


def test_an_interrupted_import_says_so_and_what_to_do(taking, archive, environ):
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
    assert "Stopped at 100 of 150 drawings." in said
    assert "the same command again stores the rest" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"no zip", "strokes.zip is no ZIP or TAR archive, or it is damaged"),
        (b"PK\x03\x04 no zip", "File is not a zip file"),
    ],
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
    done = ask("data", "import", "--format", "quickdrawn", "x.zip")

    assert done.code == 2
    assert '"omniglot", "quickdraw"' in done.err


PNG = picture()
PETS = {"train/cat/1.png": PNG, "train/cat/2.png": picture(9, 9), "test/dog/3.png": PNG}


def test_a_dry_run_asks_no_server_and_tells_what_would_be_read(ask, script, tmp_path: Path):
    members = PETS | {"train/cat/4.jpg": b"", "README.md": "pets", "train/cat/.5.png": PNG}

    done = ask("data", "import", "--dry-run", str(folder(tmp_path / "pets", members)))

    assert done.code == 1, "one file is left out"
    assert script.seen == []
    assert "✓ 3 images read\n" in done.err
    assert "format   folder: 5 files (3 png, " in done.err
    assert "classes  2: cat 2, dog 1" in done.err
    assert "splits   test 1, train 2" in done.err
    assert "sizes    10 x 8 to 9 x 9 px" in done.err
    assert "warning: dog has one example only" in done.err
    assert "warning: dog is not in train" in done.err
    assert "1 item equal to another: train/cat/1.png is test/dog/3.png" in done.err
    assert "1 item with another label than an equal one" in done.err
    assert "1 item in another split than an equal one" in done.err
    assert "warning: 2 other files left out: README.md, train/cat/.5.png" in done.err
    assert "warning: 1 image left out:\n  empty-file: train/cat/4.jpg is empty." in done.err
    assert "  advice: Copy or download it again.\n" in done.err


def test_a_dry_run_as_json_and_as_a_file_tells_everything(ask, tmp_path: Path):
    members = {f"cat/{n}.png": b"" for n in range(30)} | PETS
    report = tmp_path / "report.json"
    words = ["data", "import", "--dry-run", str(folder(tmp_path / "x", members))]

    told = json.loads(ask(*words, "--json", "--report", str(report)).out)

    assert json.loads(report.read_bytes()) == told
    assert told["format"] == "folder"
    assert told["health"]["items"] == 3
    assert {one["code"] for one in told["bad"]} == {"empty-file"}
    assert len(told["bad"]) == 30
    assert told["bad"][0]["remedy"] == "Copy or download it again."
    shown = ask(*words).err
    assert shown.count("is empty.") == 20
    assert "and 10 more; `--json` or `--report FILE` lists all" in shown


def test_labels_columns_names_and_limits_can_be_given(ask, tmp_path: Path):
    flat = folder(tmp_path / "flat", {"1.png": PNG, "2.png": picture(5, 5)})
    table = folder(tmp_path / "table", {"l.csv": "blob,what\n1.png,cat\n", "1.png": PNG}) / "l.csv"

    def told(*words: str) -> dict[str, object]:
        return json.loads(ask("data", "import", "--dry-run", "--json", *words).out)["health"]

    assert told(str(flat))["unlabelled"] == 2
    assert told(str(flat), "--label", "cat")["classes"] == {"cat": 2}
    assert told(str(flat), "--limit", "1")["items"] == 1
    assert told(str(table), "--column", "label=what")["classes"] == {"cat": 1}


def test_a_column_that_means_nothing_is_misuse(ask, tmp_path: Path):
    done = ask("data", "import", "--dry-run", str(folder(tmp_path / "x", PETS)), "--column", "a=b")
    assert done.code == 2
    assert "--column takes WHAT=NAME" in done.err


def test_a_page_that_is_called_like_a_picture_is_left_out(ask, tmp_path: Path):
    root = folder(tmp_path / "x", {"cat/1.jpg": "<html>Not found</html>", "cat/2.png": PNG})
    done = ask("data", "import", "--dry-run", str(root))
    assert done.code == 1
    assert "no-picture: cat/1.jpg is called like a picture and is none." in done.err


def test_a_folder_that_may_be_two_things_is_for_the_user_to_name(ask, tmp_path: Path):
    xml, yolo = "<annotation><filename>1.png</filename></annotation>", "0 0.5 0.5 0.1 0.1\n"
    root = folder(tmp_path / "x", {"1.xml": xml, "1.txt": yolo, "1.png": PNG})
    done = ask("data", "import", "--dry-run", str(root))
    assert done.code == 1
    assert "boxes in 1.xml (voc); boxes in 1.txt (yolo)" in done.err
    assert ask("data", "import", "--dry-run", str(root), "--format", "yolo").code == 0


def test_how_nested_folders_were_taken_is_said(ask, tmp_path: Path):
    nested = {"fruit/apple/1.png": PNG, "fruit/pear/2.png": picture(5, 5), "nuts/oak/3.png": PNG}
    root = str(folder(tmp_path / "x", nested))
    done = ask("data", "import", "--dry-run", root)
    assert "warning: fruit/apple is taken for the class apple; --labels top, leaf, path" in done.err
    assert "is taken" not in ask("data", "import", "--dry-run", root, "--labels", "path").err


def test_drawings_go_into_their_own_dataset_and_that_is_said(ask, taking, archive):
    done = ask("data", "import", str(archive), "--dataset", "letters")
    assert done.code == 0
    assert "warning: drawings go into the dataset drawings, not into letters" in done.err
    assert "✓ 150 drawings stored" in done.err
