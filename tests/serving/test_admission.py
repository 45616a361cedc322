"""Who is let in: within the deadline by the costs that were measured, and at the loop's pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.serving.admission import Cost, Pace, eta_s

positive = st.floats(1e-4, 10)


@given(positive, positive, st.integers(1, 64))
def test_the_sessions_share_the_work(work: float, cost: float, sessions: int) -> None:
    alone = eta_s(work, cost, 1)
    assert alone == work + cost
    assert eta_s(work, cost, sessions) == pytest.approx(alone / sessions)


@given(positive, positive)
def test_a_cost_nears_what_is_seen_and_keeps_its_start(start: float, seen: float) -> None:
    cost = Cost(start)
    for _ in range(200):
        cost.seen(seen)
    assert cost.now_s == pytest.approx(seen, rel=1e-3, abs=1e-6)
    assert start == cost.at_start_s


def _let_in(pace: Pace, late_s: float, seconds: float) -> float:
    """The share of requests that is let in at the end of so long with such lateness."""
    for _ in range(round(seconds / 0.01)):
        pace.seen(late_s, 0.01)
    return sum(pace.lets_in() for _ in range(1000)) / 1000


def test_a_loop_on_time_lets_everybody_in() -> None:
    assert _let_in(Pace(0.04), 0.03, 60) == 1


def test_a_hiccup_refuses_nobody() -> None:
    pace = Pace(0.04)
    pace.seen(0.1, 0.11)
    assert _let_in(pace, 0.0, 0.01) == 1


def test_a_late_loop_refuses_most_and_then_recovers_within_a_second() -> None:
    pace = Pace(0.04)
    assert _let_in(pace, 0.2, 2) == pytest.approx(0.05, abs=0.01)
    assert _let_in(pace, 0.0, 1) == 1


@given(st.floats(1.2, 5))
def test_under_steady_overload_it_settles_near_the_target(overload: float) -> None:
    """A loop whose lateness grows with the work that is let in beyond what it can do."""
    pace, late_s = Pace(0.04), 0.0
    shares = []
    for _ in range(3000):
        late_s = max(0.0, late_s + 0.01 * (min(1.0, pace.share) * overload - 1.0))
        pace.seen(late_s, 0.01)
        shares.append(min(1.0, pace.share))
    settled = sum(shares[-1000:]) / 1000
    assert settled == pytest.approx(1 / overload, rel=0.1)
