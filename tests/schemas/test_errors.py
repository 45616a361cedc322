"""What a server told about a failure is what its client raises."""

import pytest

from volano.schemas.errors import Broken, Missing, Unavailable, VolanoError, from_problem
from volano.schemas.registry import RunOver

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
    assert (
        error.message, error.facts, error.advice,
    ) == ("The quota of 5 runs is spent.", {"limit": 5}, "Wait until Monday.")  # fmt: skip


@pytest.mark.parametrize("remedy", [{}, {"remedy": ""}, {"remedy": None}])
def test_without_a_remedy_of_the_server_the_one_known_here_is_given(
    remedy: dict[str, str | None],
) -> None:
    error: VolanoError = from_problem({"code": "missing", "status": 404, **remedy})
    assert (Missing.remedy, Missing) == (error.advice, type(error))


class WordUnknown(Missing):
    """There is no thing {name!r}: {reason}."""

    remedy = "There are: {known}."


def test_long_values_of_a_caller_are_cut_and_ours_are_not() -> None:
    error = WordUnknown(name="x" * 5000, reason="y" * 5000, known="z" * 5000, n=10**300, at=3)

    told = error.shortened()

    assert type(told) is WordUnknown
    assert (
        len(told.facts["name"]), len(told.facts["reason"]), len(told.facts["known"]),
        len(told.facts["n"]), told.facts["at"],
    ) == (100, 1000, 5000, 100, 3)  # fmt: skip
    assert len(told.message) < 1200
    assert told.facts["name"] in told.message
    assert told.shortened() is told


def test_words_of_its_own_survive_cutting() -> None:
    assert Broken("It is so.", name="x" * 5000).shortened().message == "It is so."
