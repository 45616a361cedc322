"""Tests of volano.cli.turn: what is said of a model and how it can be asked."""

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.cli import canned
from tests.training.pictures import encoded
from volano.cli import turn
from volano.cli.render import Look
from volano.cli.terminal import Terminal
from volano.schemas.evaluation import BaselineFigures
from volano.sdk import config

URL = "http://localhost:9000"
TOLD = """for arg; do printf '%s\\n' "$arg"; done"""
"""A curl that prints what it was given, a line each."""


def given(line: str, folder: Path, **environment: str) -> list[str]:
    """What curl is given when a shell runs the line, where `volano` prints its own arguments."""
    for name, body in {"curl": TOLD, "volano": 'echo "key of $*"'}.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", line], env={"PATH": path, **environment}, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_figures_stand_beside_those_of_the_baseline():
    simple = BaselineFigures(name="ridge regression", accuracy=0.805, macro_f1=0.8)
    report = msgspec.structs.replace(canned.REPORT, baseline=simple)
    shown = turn.figures(report, Look())

    for name in ("accuracy", "precision", "recall", "F1"):
        assert f"{name} " in shown
    assert "80.5%, F1 80.0%: ridge regression" in shown
    assert "baseline" not in turn.figures(canned.REPORT, Look())


@pytest.mark.parametrize("name", ["1.jpg", 'my photo\'s "best" $1.jpg', "猫.png"])
def test_a_shell_understands_the_line_whatever_the_file_is_called(tmp_path: Path, name: str):
    terminal = Terminal(url=URL, key="vol_secret")
    line = turn.curl(terminal, "flowers", tmp_path / name)
    words = given(line, tmp_path, VOLANO_KEY="vol_mine")

    assert "vol_secret" not in line
    assert words == [
        "-s",
        f"{URL}/api/endpoints/flowers/predict",
        "-H",
        "Authorization: Bearer vol_mine",
        "-H",
        "content-type: application/octet-stream",
        "--data-binary",
        f"@{tmp_path / name}",
    ]


def test_a_key_that_is_kept_is_asked_for_by_a_command(volano, tmp_path: Path, environ):
    config.write(URL, "vol_kept", Path(environ["XDG_CONFIG_HOME"], "volano", "config.json"))
    line = turn.curl(Terminal(url=URL), "flowers", None)
    assert "vol_kept" not in line
    assert "@photo.jpg" in line
    words = given(line, tmp_path)
    assert words[3].startswith("Authorization: Bearer key of keys current")


def test_a_picture_is_known_by_its_content_and_not_by_its_name(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_text("no picture")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2").write_bytes(encoded(np.zeros((4, 4), np.uint8)))
    assert turn.a_picture(tmp_path) == tmp_path / "b" / "2"
    assert turn.a_picture(tmp_path / "a") is None
    assert turn.a_picture(tmp_path / "b" / "2") is None


def test_the_current_key_is_printed_for_other_programs(volano, environ):
    config.write(URL, "vol_kept", Path(environ["XDG_CONFIG_HOME"], "volano", "config.json"))
    assert volano("keys", "current").out == "vol_kept\n"
    assert volano("keys", "current", "--url", URL).out == "vol_kept\n"
    done = volano("keys", "current", "--url", "http://localhost:9001")
    assert (done.code, done.out) == (1, "")
    assert "No key was given for http://localhost:9001" in done.err
