"""A child holds its limits, and dies with its parent on every platform."""

import os
import signal
import subprocess
import sys

import pytest

HOLD = """
import os, subprocess, sys
from volano.harness.confine import die_with_parent
die_with_parent(int(sys.argv[1]), linux=sys.argv[2] == "linux")
subprocess.Popen(["sleep", "600"])
os.write(1, b"held\\n")
while True:
    pass
"""

LIMIT = """
import resource
from volano.harness.confine import limit
from volano.schemas.harness import Limits
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
limit(Limits(open_files=10**6, file=5000))
print([resource.getrlimit(getattr(resource, "RLIMIT_" + k)) for k in ("CORE", "NOFILE", "FSIZE")])
"""

KINDS = [
    pytest.param("linux", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")),
    "other",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_group_dies_with_the_parent(kind: str):
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(read), kind],
        pass_fds=(read,),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(read)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    os.close(write)
    assert process.wait() == -signal.SIGKILL
    # The helper held stdout too: the end of file comes when it is gone.
    assert process.stdout.read() == b""
    process.stdout.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_whose_parent_died_before_it_began_dies_too(kind: str):
    read, write = os.pipe()
    os.close(write)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(read), kind],
        pass_fds=(read,),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(read)
    assert process.wait() == -signal.SIGKILL


def test_limits_are_set_but_never_raised():
    told = subprocess.run(
        [sys.executable, "-c", LIMIT], check=True, capture_output=True, text=True
    ).stdout
    assert told == "[(0, 0), (100, 100), (5000, 5000)]\n"
