"""The program where only a part of it is installed: it says which part a command needs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LACKING = (
    "import sys; sys.modules.update(dict.fromkeys({names!r}));"
    "from volano.cli.main import main; main()"
)
SERVERS = ["torch", "uvicorn", "sqlalchemy", "onnxruntime", "pyarrow", "numpy", "structlog"]

Without = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def without(environ: dict[str, str], folder: Path) -> Without:
    """Runs one command where these libraries are not installed."""

    def run(names: list[str], *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LACKING.format(names=names), *words]
        return subprocess.run(
            command, capture_output=True, text=True, env=environ, cwd=folder, timeout=60
        )

    return run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("uvicorn", ["up", "--once"]),
        ("sqlalchemy", ["migrate"]),
        ("structlog", ["settings"]),
        ("httpx", ["whoami", "--url", "http://127.0.0.1:9"]),
    ],
)
def test_a_command_says_which_part_it_lacks(without, folder, name, words):
    done = without([name], *words)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"error: This command needs {name}." in done.stderr
    assert "next: pip install 'volano[" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_client_needs_nothing_of_a_server(without, script):
    done = without(SERVERS, "shapes", "ls", "--url", script.url, "--key", "vk_test")

    assert (done.returncode, done.stderr) == (0, "")
    assert "circle" in done.stdout


def test_a_fault_of_ours_is_not_taken_for_a_missing_part(without):
    done = without(["volano.cli.host"], "settings")

    assert done.returncode == 1
    assert "pip install" not in done.stderr
