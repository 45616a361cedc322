"""What a server told about a failure is what its client raises."""

import pytest

from volano.spec.errors import Missing, Unavailable, VolanoError, from_problem
from volano.spec.registry import RunOver

NEWER = {
    "code": "quota-spent",
    "status": 503,
    "detail": "The quota of 5 runs is spent.",
    "remedy": "Wait until Monday.",
    "facts": {"limit": 5},
}


def test_an_error_that_is_known_here_comes_back_as_it_was() -> None:
    raised = RunOver(id="run_1", state="failed")
    error = from_problem(raised.problem())
    assert RunOver is type(error)
    assert (raised.message, raised.facts, raised.advice) == (
        error.message, error.facts, error.advice,
    )  # fmt: skip


def test_an_error_of_a_newer_server_keeps_what_to_do_about_it() -> None:
    error = from_problem(NEWER)
    assert Unavailable is type(error)
    assert ("The quota of 5 runs is spent.", {"limit": 5}, "Wait until Monday.") == (
        error.message, error.facts, error.advice,
    )  # fmt: skip


@pytest.mark.parametrize("remedy", [{}, {"remedy": ""}, {"remedy": None}])
def test_without_a_remedy_of_the_server_the_one_known_here_is_given(
    remedy: dict[str, str | None],
) -> None:
    error: VolanoError = from_problem({"code": "missing", "status": 404, **remedy})
    assert (Missing.remedy, Missing) == (error.advice, type(error))
