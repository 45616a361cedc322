"""A process that may read some folders opens nothing else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest


@pytest.fixture
def limited(tmp_path: Path, absent: Callable[[str], NoReturn]) -> Callable[[str], str]:
    """`limited("open(...)")` is what a process says that may read `open/` and nothing else."""
    for name in ("open", "closed"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below" / "file").write_text(name)

    def run(code: str) -> str:
        program = (
            "import os, pathlib, signal, socket, sys\n"
            "from volano.harness.landlock import read_only\n"
            "if not read_only([pathlib.Path('open'), pathlib.Path('missing')]):\n"
            "    sys.exit('no Landlock')\n"
            f"try:\n    print({code})\n"
            "except OSError as error:\n    print(type(error).__name__)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
        )
        if "no Landlock" in done.stderr:
            absent("no Landlock in this kernel")
        assert done.stderr == ""
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("open('open/below/file').read()", "open"),
        ("os.listdir('open')", "['below']"),
        ("open('closed/below/file').read()", "PermissionError"),
        ("open('open/../closed/below/file').read()", "PermissionError"),
        ("os.listdir('closed')", "PermissionError"),
        ("open('open/below/file', 'w')", "PermissionError"),
        ("open('open/new', 'w')", "PermissionError"),
        ("os.unlink('open/below/file')", "PermissionError"),
        ("os.rename('open/below/file', 'open/file')", "PermissionError"),
        ("os.symlink('/etc/passwd', 'open/link')", "PermissionError"),
        ("os.truncate('closed/below/file', 0)", "PermissionError"),
        ("open('/etc/passwd').read()", "PermissionError"),
    ],
)
def test_only_the_given_folders_are_read_and_nothing_is_written(
    code: str, told: str, limited: Callable[[str], str], tmp_path: Path
) -> None:
    assert limited(code) == told
    assert (tmp_path / "open" / "below" / "file").read_text() == "open"
    assert (tmp_path / "closed" / "below" / "file").read_text() == "closed"
