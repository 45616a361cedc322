"""The child carries out its order, tells its story through the pipe and answers to SIGTERM."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from volano.harness.events import decode
from volano.schemas.harness import AnyEvent, Failed, Finished, Reached, RunOrder

WRITE = "(run.artefact / 'model.onnx').write_bytes(b'm')"


@dataclass
class Child:
    """A child process with the ends of its pipes."""

    process: subprocess.Popen[bytes]
    events: Iterator[bytes]

    def next(self) -> AnyEvent:
        """The next event that it tells."""
        return decode(next(self.events))


@contextmanager
def child(folder: Path, order: RunOrder | bytes) -> Iterator[Child]:
    """A child that carries out this order, as a worker starts it."""
    (folder / "artefact").mkdir(exist_ok=True)
    data = order if isinstance(order, bytes) else msgspec.json.encode(order)
    (folder / "run.json").write_bytes(data)
    (read, write), (held, hold) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "volano.harness.child", str(folder), str(write), str(held)],
        pass_fds=(write, held),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(write)
    os.close(held)
    with os.fdopen(read, "rb") as events:
        yield Child(process, iter(events))
        os.close(hold)
        process.wait()


def order_for(source: Path | str, folder: Path, **more: float) -> RunOrder:
    return RunOrder(source=str(source), data=str(folder), artefact=str(folder / "artefact"), **more)


def last_of(events: Iterator[bytes]) -> AnyEvent:
    return [decode(line) for line in events][-1]


@pytest.mark.parametrize(
    ("train", "kind", "code"),
    [
        (WRITE, Finished, 0),
        ("raise ValueError", Failed, 1),
        ("run.cancel(); run.log(0)", Failed, 130),
    ],
)
def test_the_exit_code_agrees_with_the_last_event(write_model, tmp_path, train, kind, code):
    with child(tmp_path, order_for(write_model(train), tmp_path)) as started:
        assert isinstance(last_of(started.events), kind)
        assert started.process.wait() == code


@pytest.mark.parametrize("order", [b"", b"{}", b'{"source": 3}', b"\xff"])
def test_an_order_that_cannot_be_read_is_our_failure(tmp_path: Path, order: bytes):
    with child(tmp_path, order) as started:
        end = last_of(started.events)
        assert isinstance(end, Failed)
        assert end.failure.class_ == "system.storage"
        assert started.process.wait() == 3


def test_an_unknown_recipe_is_the_users_failure(tmp_path: Path):
    with child(tmp_path, order_for("no_such", tmp_path)) as started:
        end = last_of(started.events)
        assert isinstance(end, Failed)
        assert "There is no recipe 'no_such'" in end.failure.message
        assert started.process.wait() == 1


def test_the_first_sigterm_cancels_at_the_next_report(write_model, tmp_path: Path):
    train = "import time\nwhile True:\n    run.progress(0, 1)\n    time.sleep(0.001)"
    with child(tmp_path, order_for(write_model(train), tmp_path)) as started:
        while not isinstance(started.next(), Reached):
            pass
        started.process.send_signal(signal.SIGTERM)
        end = last_of(started.events)
        assert isinstance(end, Failed)
        assert end.failure.class_ == "cancelled"
        assert started.process.wait() == 130


def test_the_second_sigterm_ends_what_does_not_report(write_model, tmp_path: Path):
    train = (
        "import signal, time\nrun.progress(0, 1)\n"
        "while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:\n    pass\n"
        "run._events(__import__('volano').schemas.harness.Phase(at_s=0, name='evaluate'))\n"
        "while True:\n    pass"
    )
    with child(tmp_path, order_for(write_model(train), tmp_path)) as started:
        while not isinstance(started.next(), Reached):
            pass
        started.process.send_signal(signal.SIGTERM)
        started.next()
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait() == -signal.SIGTERM
