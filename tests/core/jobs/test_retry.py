"""What a failure means: whose it is, whether it is tried again, and which ones are alike."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.core.jobs.retry import SYSTEM_ATTEMPTS, Failures, decide, describe, signature
from volano.schemas.common import DatabaseUnavailable
from volano.schemas.errors import Invalid, Missing
from volano.schemas.jobs import NoHandler

FRESH = Failures(0, 0, 5)


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable(reason="x"), ConnectionResetError(), NoHandler(topic="t")]
)
def test_our_own_trouble_is_tried_again_a_few_times(error: Exception) -> None:
    rng = random.Random(1)
    used = Failures(99, SYSTEM_ATTEMPTS - 1, 1)
    assert decide(error, Failures(99, 0, 1), rng).delay_ms is not None
    assert (decide(error, used, rng).is_system, decide(error, used, rng).delay_ms) == (True, None)


@pytest.mark.parametrize("error", [Invalid("x"), Missing(noun="record", id="x")])
def test_what_cannot_get_better_is_not_tried_again(error: Exception) -> None:
    decision = decide(error, FRESH, random.Random(1))
    assert (decision.is_system, decision.delay_ms) == (False, None)


def test_an_unknown_error_uses_up_the_attempts() -> None:
    delays = [decide(KeyError(), Failures(n, 0, 3), random.Random(1)).delay_ms for n in range(4)]
    assert [delay is None for delay in delays] == [False, False, True, True]


@given(st.integers(0, 30), st.integers())
def test_a_delay_grows_but_is_bounded(failures: int, seed: int) -> None:
    delay = decide(KeyError(), Failures(failures, 0, 100), random.Random(seed)).delay_ms
    assert delay is not None
    assert 0 <= delay <= min(1000 * 2**failures, 600_000)


class Longest(random.Random):
    """Draws the longest delay that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_delays_double_from_a_second_for_the_user_s_failures() -> None:
    most = [decide(KeyError(), Failures(n, 0, 100), Longest()).delay_ms for n in range(12)]
    assert most[:5] == [1_000, 2_000, 4_000, 8_000, 16_000]
    assert most[-3:] == [512_000, 600_000, 600_000]


def test_delays_grow_fourfold_from_two_seconds_for_our_own_trouble() -> None:
    away = DatabaseUnavailable(reason="x")
    most = [decide(away, Failures(0, n, 1), Longest()).delay_ms for n in range(5)]
    assert most == [2_000, 8_000, 32_000, 128_000, None]


def test_the_last_attempt_is_the_one_that_is_allowed() -> None:
    assert decide(KeyError(), Failures(1, 0, 3), Longest()).delay_ms is not None
    assert decide(KeyError(), Failures(2, 0, 3), Longest()).delay_ms is None


def _raised(kind: type[Exception], text: str) -> Exception:
    try:
        raise kind(text)
    except kind as error:
        return error


def test_equal_causes_have_equal_signatures() -> None:
    one, two = _raised(KeyError, "a"), _raised(KeyError, "b")
    assert signature(one, "user") == signature(two, "user")
    others = {signature(_raised(ValueError, "a"), "user"), signature(one, "system")}
    assert signature(one, "user") not in others


def test_a_description_says_what_and_where() -> None:
    error = _raised(KeyError, "a")
    why = describe(error, decide(error, FRESH, random.Random(1)), 3)
    assert (why["class"], why["type"], why["message"], why["attempt"]) == (
        "user",
        "KeyError",
        "'a'",
        3,
    )
    assert why["at"][0].startswith("test_retry.py:_raised:")
