"""The README's commands and code, run as they stand against a new server."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.test_images import folder_of

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- test: .*? -->\n```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(README.read_text("utf-8"))
EACH = 15
"""Images of a class in the reader's folder."""
PYTHON = [text for kind, text in BLOCKS if kind == "python"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("readme"),
    pytest.mark.timeout(300),  # starts servers and trains, beside whatever else the machine does
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which `volano up` has turned the wheel and keeps serving."""
    folder = tmp_path_factory.mktemp("readme")
    program = [sys.executable, "-m", "volano", "up", "--port", "0"]
    with subprocess.Popen(program, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        told = ""
        while line := server.stderr.readline():
            told += line
            if "ready after" in line:
                break
        assert "first answer" in told
        folder_of(folder / "photos", EACH)
        yield folder
        server.terminate()
        server.communicate(timeout=60)


def run(arguments: list[str], folder: Path, text: str | None = None) -> str:
    """What a program prints, run in the folder as a person would."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_commands_of_the_readme_work_in_their_order(project: Path) -> None:
    commands = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    for command in commands:
        program, *arguments = shlex.split(command.removeprefix("$ "))
        assert program == "volano"
        assert run(["-m", "volano", *arguments], project)


def test_the_python_of_the_readme_works(project: Path) -> None:
    ask, _ = PYTHON
    label, confidence = run(["-"], project, ask).split()
    assert label in {"circle", "heart", "line", "square", "triangle"}
    assert 0 <= float(confidence) <= 1


def test_own_drawings_are_stored_as_the_readme_says(project: Path) -> None:
    _, send = PYTHON
    id, became = run(["-"], project, send).split()
    assert became == "stored"
    assert "zigzag" in run(["-m", "volano", "data", "show", id], project)
