"""`volano up --once` proves the whole loop: on the embedded store, and on the real servers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("up"),
    pytest.mark.timeout(300),  # starts servers and trains, beside whatever else the machine does
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL may enter as another user: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="volano-up-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


STEPS = (
    "database ready",
    "server at",
    "drawings of 5 shapes",
    "frozen as",
    "trained",
    "answers on",
)


@pytest.mark.parametrize("options", [[], ["--real"]], ids=["embedded", "real"])
def test_one_command_turns_the_wheel_once(folder: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "volano", "up", "--port", "0", "--once", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    told = done.stderr
    assert [step for step in STEPS if step not in told] == []
    assert told.count("vol_") == 2  # shown once, and once more in the line to copy
    assert "first answer: a square" in told


def test_started_again_it_keeps_its_workspace_and_shows_no_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "volano", "up", "--port", "0", "--once", "--empty"]
    first, again = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120).stderr
        for _ in range(2)
    )
    assert "vol_" in first
    assert "vol_" not in again
