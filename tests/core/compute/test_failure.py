"""The end of a run is judged from what was told, the exit code and our own reasons."""

import signal

import pytest

from volano.core.compute.failure import Stop, failure_of
from volano.schemas.harness import Failed, Finished
from volano.schemas.registry import Failure

FINISHED = Finished(at_s=1.0, figures={}, files=[], seconds={}, environment={}, source="")
FAILED = Failed(at_s=1.0, failure=Failure(class_="user.code", message="boom", frame="m.py:3 train"))
TIMEOUT = Stop("user.timeout", "too long")


@pytest.mark.parametrize("code", [0, 1, -signal.SIGSEGV, -signal.SIGKILL])
@pytest.mark.parametrize("stop", [None, TIMEOUT])
def test_a_result_that_was_told_stands(code: int, stop: Stop | None):
    assert failure_of(code=code, end=FINISHED, stop=stop, began=True) is None


def test_a_failure_that_was_told_stands():
    assert failure_of(code=1, end=FAILED, stop=None, began=True) == FAILED.failure


def test_our_reason_outranks_a_failure_but_keeps_its_frame():
    failure = failure_of(code=1, end=FAILED, stop=TIMEOUT, began=True)
    assert failure is not None
    assert (failure.class_, failure.frame) == ("user.timeout", "m.py:3 train")


@pytest.mark.parametrize(
    ("code", "began", "class_"),
    [
        (-signal.SIGKILL, True, "user.resource"),
        (-signal.SIGSEGV, True, "user.code"),
        (0, True, "user.code"),
        (7, True, "user.code"),
        (1, False, "system.env"),
    ],
)
def test_a_process_that_told_nothing_is_judged_by_its_code(code: int, began: bool, class_: str):
    failure = failure_of(code=code, end=None, stop=None, began=began)
    assert failure is not None
    assert class_ == failure.class_
    assert failure.signature


def test_equal_ends_share_a_signature_and_others_do_not():
    ends = [-signal.SIGSEGV, -signal.SIGSEGV, -signal.SIGABRT, 7]
    failures = [failure_of(code=code, end=None, stop=None, began=True) for code in ends]
    signatures = [failure.signature for failure in failures if failure]
    assert signatures[1] == signatures[0]
    assert len(set(signatures)) == 3
