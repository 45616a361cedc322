"""A real server for a benchmark: `volano up` in a folder of its own, pinned to chosen cores."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_S = 120


@dataclass(frozen=True)
class Served:
    """Where the server answers and the key of its admin."""

    url: str
    key: str
    home: Path
    pid: int
    """Of the process whose descendants serve."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What an authorised JSON request carries."""
        return (("authorization", f"Bearer {self.key}"), ("content-type", "application/json"))


@contextmanager
def served(
    *options: str,
    cores: str = "",
    settings: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[Served]:
    """Run `volano up` with these options until the block ends; `cores` as taskset takes them.

    `python` is the interpreter of the checkout that is to serve.
    """
    with tempfile.TemporaryDirectory(prefix="volano-bench-") as folder:
        home = Path(folder) / "home"
        pin = ["taskset", "-c", cores] if cores else []
        command = [*pin, python, "-m", "volano", "up", "--home", str(home)]
        process = subprocess.Popen(
            [*command, "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,  # where no checkout's code is found before the installed one
            env={**os.environ, "VOLANO_LOG": "warning", **(settings or {})},
        )
        try:
            _wait(process)
            document = json.loads((home / "client.json").read_text())
            yield Served(document["url"], document["keys"][document["url"]], home, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "ready after" in line:
            # Read on: once a pipe is full, whoever logs into it waits, and so does every request.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return
    raise RuntimeError("the server did not start:\n" + "".join(seen))
