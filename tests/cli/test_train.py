"""Tests of volano.cli.train: what is asked of the server, and training without one."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.cli import canned
from tests.training.pictures import stage
from volano.cli.train import typed

MODEL = """
import volano

class Mean(volano.Model):
    rate = volano.Param(0.5, ge=0.0, le=1.0)
    fails = volano.Param(False)

    def train(self, run):
        for step in range(1, 4):
            run.log(step, loss=1.0 / step)
            run.progress(step, 3, "counting")
        if self.fails:
            raise ValueError("no idea")
        (run.artefact / "mean.txt").write_text(str(self.rate))

    def evaluate(self, run):
        return {"accuracy": 0.75}
"""


@pytest.fixture
def model(folder: Path) -> Path:
    """A model of the user's own, and a staged snapshot beside it."""
    (folder / "staged").mkdir()
    (folder / "staged" / "snapshot.json").write_bytes(msgspec.json.encode(canned.SNAPSHOT))
    path = folder / "model.py"
    path.write_text(MODEL)
    return path


LOCAL = ["train", "--local", "--data", "staged", "--recipe"]


def test_a_model_is_trained_here_without_a_server(volano, model, folder):
    done = volano(*LOCAL, str(model), "--rate=0.25", "--out", "result")

    assert done.code == 0
    assert (folder / "result" / "mean.txt").read_text() == "0.25"
    assert "accuracy" in done.out
    assert "result: mean.txt" in done.out
    assert "evaluate  100%  counting  " in done.err
    assert " s  loss 0.3333\n" in done.err


def test_a_model_imports_from_its_own_folder_and_not_from_the_working_one(program, model, folder):
    (folder / "models").mkdir()
    (folder / "models" / "model.py").write_text("import beside\n" + MODEL)
    (folder / "models" / "beside.py").write_text("")
    for name in ("beside", "secrets", "inspect", "html"):
        (folder / f"{name}.py").write_text("raise SystemExit('a file of the working folder')\n")

    done = program(*LOCAL, "models/model.py", "--out", "result")

    assert done.code == 0, done.err
    assert (folder / "result" / "mean.txt").exists()


def test_a_classifier_of_images_is_trained_here(volano, model, folder):
    stage(folder / "staged", {"train": 6, "valid": 2, "test": 2})
    params = ["--steps=3", "--epochs=1", "--width=4", "--threads=1"]
    done = volano("train", "--local", "--data", "staged", "--recipe", "image", *params)

    assert done.code == 0, done.err
    assert "accuracy" in done.out
    names = sorted(path.name for path in (folder / "artefact").iterdir())
    assert {"model.onnx", "version.json", "evaluation.json"} <= set(names)


def test_what_was_found_out_here_is_json_where_that_is_asked_for(volano, model):
    document = json.loads(volano(*LOCAL, str(model), "--json").out)

    assert document["figures"] == {"accuracy": 0.75}
    assert [file["name"] for file in document["files"]] == ["mean.txt"]


def test_a_failure_here_is_told_with_its_line_and_without_a_traceback(volano, model):
    done = volano(*LOCAL, str(model), "--fails=true")

    assert done.code == 1
    assert "failed: user.code: " in done.err
    assert "no idea" in done.err
    assert "model.py:13" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "volano train --snapshot NAME"),
        (["train", "--local"], "volano snapshots pull NAME FOLDER"),
        (["train", "--local", "--data", "nowhere"], "there is no snapshot.json in it"),
    ],
)
def test_what_is_missing_is_asked_for(volano, words, said):
    done = volano(*words)

    assert done.code == 1
    assert said in done.err


def test_a_parameter_out_of_range_is_refused_here_too(volano, model):
    done = volano(*LOCAL, str(model), "--rate=3")

    assert done.code == 1
    assert "rate" in done.err
    assert "above 1.0" in done.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.001", 0.001),
        ("3", 3),
        ("true", True),
        ("adam", "adam"),
        ("1e-3", 0.001),
        ("null", "null"),
        ("[1]", "[1]"),
        ("", ""),
        ("NaN", "NaN"),
    ],
)
def test_a_typed_parameter_is_a_number_where_it_reads_as_one(text, expected):
    assert (type(expected), expected) == (type(typed(text)), typed(text))
