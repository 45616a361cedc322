"""`volano turn photos/` does everything, and ends with a command that asks about a picture."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from tests.training.pictures import KINDS, drawn, encoded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("up"),
    pytest.mark.timeout(400),  # starts servers and trains, beside whatever else the machine does
]

EACH = 12


def photos(folder: Path) -> Path:
    """Write a folder for each kind of picture, with odd names, and a picture that is broken."""
    rng = np.random.default_rng(5)
    for kind in KINDS:
        below = folder / f"{kind} in the {kind}'s place"
        below.mkdir(parents=True)
        for number in range(EACH):
            gray = drawn(kind, rng, *rng.integers(20, 40, 2))
            tinted = (gray[:, :, None] * np.array([1, 0.8, 0.6])).astype(np.uint8)
            (below / f"{number} .jpg").write_bytes(encoded(tinted, "JPEG"))
    (below / "broken.jpg").write_bytes(encoded(tinted, "JPEG")[:200])
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without anybody's configuration, in which `volano` is this program."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("VOLANO_")}
    programs = Path(sys.executable).parent
    return kept | {
        "PATH": f"{programs}:{kept['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


def ran(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_line_at_the_end_asks_about_a_picture_of_the_folder(
    up: tuple[str, str],
    tmp_path: Path,
    environment: dict[str, str],
    absent: Callable[[str], NoReturn],
) -> None:
    if shutil.which("curl") is None:
        absent("no curl")
    url, key = up
    photos(tmp_path / "My Photos")
    ran(["volano", "login", url, "--key", key], tmp_path, environment)
    done = ran(["volano", "turn", "My Photos", "--seconds", "90"], tmp_path, environment)

    assert done.returncode == 0, done.stderr
    assert f"✓ {EACH * len(KINDS)} images stored" in done.stderr
    assert "1 image left out" in done.stderr
    assert re.search(r"accuracy +\d+\.\d%", done.stdout)
    assert re.search(r"baseline +\d+\.\d%, F1 \d+\.\d%: ridge regression", done.stdout)
    assert key not in done.stdout + done.stderr
    (line,) = re.findall(r"^(curl -s .+?)\n\n", done.stderr, re.MULTILINE | re.DOTALL)

    asked = ran(["sh", "-c", line], tmp_path, environment)
    (answer,) = json.loads(asked.stdout)["predictions"]
    assert answer["label"] in {f"{kind} in the {kind}'s place" for kind in KINDS}
    assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-4)

    again = ran(["volano", "data", "import", "My Photos"], tmp_path, environment)
    assert f"{EACH * len(KINDS)} were there already" in again.stderr
