"""`volano up --once` proves the whole loop, in a folder full of somebody's own files."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]

VOLANO = Path(sys.executable).with_name("volano")

OWN_FILES = ("random", "secrets", "json", "typing", "signal", "msgspec", "numpy", "torch", "volano")
"""Modules that the server, its worker, its runs or its services use, as names of a user's files."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL may enter as another user: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="volano-up-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def plant(folder: Path) -> None:
    """Write modules that leave their name where they are run."""
    for name in OWN_FILES:
        left = folder / f"{name} was run"
        (folder / f"{name}.py").write_text(f"open({str(left)!r}, 'w').close()\nraise SystemExit\n")


def up(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [VOLANO, "up", "--port", "0", "--once", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)


def test_one_command_turns_the_wheel_on_real_servers_and_runs_no_file_beside_it(
    folder: Path,
) -> None:
    plant(folder)
    # No path may be taken apart, by a URL, a list of folders or a pattern, on its way to a server.
    done = up(folder, "--real", "--home", "a,b %41?x=1#é")

    assert done.returncode == 0, done.stderr
    assert "PostgreSQL and S3 answer" in done.stderr
    assert "300 synthetic drawings of 5 shapes" in done.stderr
    assert "first answer: a square" in done.stderr
    assert done.stderr.count("vol_") == 1, "the key is shown once"
    assert list(folder.glob("* was run")) == []
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["a,b %41?x=1#é"]


def test_the_doctor_examines_the_real_servers_of_a_folder(folder: Path) -> None:
    assert up(folder, "--real", "--empty").returncode == 0

    command = [VOLANO, "doctor", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stderr
    assert '"healthy":true' in done.stdout.replace(" ", "")
    assert not (folder / ".volano" / "volano.db").exists()


def test_python_m_volano_runs_no_file_beside_it(folder: Path) -> None:
    plant(folder)
    (folder / "volano.py").unlink()  # which is what `python -m volano` asks for
    command = [sys.executable, "-m", "volano", "up", "--port", "0", "--once", "--empty"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert list(folder.glob("* was run")) == []


def test_started_again_it_keeps_its_workspace_and_shows_no_key(folder: Path) -> None:
    first, again = up(folder, "--empty"), up(folder, "--empty")

    assert (first.returncode, again.returncode) == (0, 0)
    assert "vol_" in first.stderr
    assert "vol_" not in again.stderr
