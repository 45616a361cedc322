"""The processes of a session are found, measured and ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from volano.core.compute import session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# A helper in the group, one that left the group but not the session, and 64 MiB touched.
TREE = """
import os, subprocess, sys, time
block = bytearray(os.urandom(1) * (64 << 20))
subprocess.Popen(["sleep", "600"])
subprocess.Popen(["sleep", "600"], process_group=0)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """A session of three processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", TREE], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    session.end(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def eventually(claim: Callable[[], bool]) -> None:
    """Wait for a claim about other processes to come true."""
    while not claim():
        time.sleep(0.01)


def test_members_are_all_of_the_session_in_whatever_group(tree: subprocess.Popen[str]):
    assert len(session.members(tree.pid)) == 3
    assert tree.pid in session.members(tree.pid)


def test_memory_is_that_of_all_members(tree: subprocess.Popen[str]):
    cheap = session.memory(tree.pid, limit=1 << 40)
    exact = session.memory(tree.pid, limit=1 << 20)
    assert 64 << 20 < exact <= cheap < 200 << 20


def test_ending_leaves_nobody(tree: subprocess.Popen[str]):
    session.end(tree.pid, signal.SIGKILL)
    assert tree.wait() == -signal.SIGKILL
    eventually(lambda: session.members(tree.pid) == [])


def test_a_session_that_is_gone_is_empty_and_can_be_ended_again():
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    assert session.members(process.pid) == []
    assert session.memory(process.pid, 1) == 0
    session.end(process.pid, signal.SIGKILL)


def test_this_process_is_not_in_it(tree: subprocess.Popen[str]):
    assert os.getpid() not in session.members(tree.pid)
