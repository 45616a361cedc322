"""Tests of ./dev: what is typed wrongly is named, and nothing is set up for it."""

import subprocess
from pathlib import Path

DEV = Path(__file__).parents[2] / "dev"


def test_an_unknown_word_is_a_mistake():
    done = subprocess.run([DEV, "tset"], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert "./dev knows no 'tset'; next: ./dev help" in done.stderr


def test_help_lists_what_can_be_typed():
    done = subprocess.run([DEV], capture_output=True, text=True)

    assert done.returncode == 0
    assert "./dev up [ARGS]" in done.stdout
