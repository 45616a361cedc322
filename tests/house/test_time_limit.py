"""Every test has a time limit: one that hangs fails, and those after it still run."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.house import code

HANGING = textwrap.dedent(
    """
    import asyncio
    import threading


    def test_that_computes_for_ever():
        while True:
            pass


    def test_that_waits_for_ever():
        threading.Event().wait()


    async def test_that_awaits_for_ever():
        await asyncio.Event().wait()


    async def test_that_never_lets_the_loop_turn():
        while True:
            pass


    def test_that_ends():
        pass
    """
)


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A file of four tests that hang and one that does not."""
    path = tmp_path / "test_hanging.py"
    path.write_text(HANGING)
    return path


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_test_that_hangs_fails_and_the_others_still_run(hanging: Path, workers: str) -> None:
    ours = ["-c", str(code.ROOT / "pyproject.toml"), "--rootdir", str(hanging.parent)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, "-o", "timeout=0.5", "-n", workers, str(hanging)],
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert "4 failed, 1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert len(re.findall(r"^E +Failed: Timeout", ran.stdout, re.MULTILINE)) == 4
    assert ran.returncode == 1


def test_the_limit_holds_without_being_asked_for(pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) <= 120
    assert pytestconfig.getini("faulthandler_exit_on_timeout") is True


def test_whoever_gives_a_test_more_time_says_why() -> None:
    without_reason = re.compile(r"mark\.timeout\((?!.*  # \w)")
    found = [
        f"{path.relative_to(code.ROOT)}:{number}"
        for path in sorted((code.ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if without_reason.search(line)
    ]
    assert found == []
