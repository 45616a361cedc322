"""Intervals against published and hand-computed values, and as properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.evaluation.intervals import paired_bootstrap, wilson
from volano.schemas.evaluation import NothingToEvaluate, UnequalLengths


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_bounds(successes, n, low, high):
    found = wilson(successes, n)
    assert (low, high) == (round(found.low, 4), round(found.high, 4))


@given(st.integers(1, 10**9), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_holds_the_share_and_stays_in_range(n, share, level):
    successes = round(n * share)
    found = wilson(successes, n, level)
    assert 0 <= found.low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= found.high <= 1
    assert found.low < found.high


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_wilson_is_the_same_from_both_sides(n, successes):
    successes = min(successes, n)
    found, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_the_interval_of_no_records_is_refused():
    with pytest.raises(NothingToEvaluate):
        wilson(0, 0)


def test_the_bootstrap_agrees_with_drawing_records_one_by_one():
    data = np.random.default_rng(1)
    first, second = data.random(60) < 0.6, data.random(60) < 0.8
    rng = np.random.default_rng(2)
    oracle = [
        np.mean([float(second[i]) - float(first[i]) for i in rng.integers(0, 60, 60)])
        for _ in range(4000)
    ]
    found = paired_bootstrap(first, second, np.random.default_rng(3), rounds=4000)
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert found.interval.low == pytest.approx(np.quantile(oracle, 0.025), abs=0.03)
    assert found.interval.high == pytest.approx(np.quantile(oracle, 0.975), abs=0.03)


def test_the_bootstrap_repeats_with_its_seed():
    first, second = np.arange(30.0), np.arange(30.0)[::-1]
    once, again = (
        paired_bootstrap(first, second, np.random.default_rng(5), rounds=200) for _ in range(2)
    )
    assert once == again


def test_two_equal_models_differ_by_nothing():
    right = np.array([1, 0, 1, 1])
    found = paired_bootstrap(right, right, np.random.default_rng(0), rounds=50)
    assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)
    assert found.share_better == 0.5


def test_a_model_that_is_always_better_is_better_in_every_round():
    found = paired_bootstrap(np.zeros(5), np.ones(5), np.random.default_rng(0), rounds=50)
    assert (found.difference, found.interval.low, found.share_better) == (1, 1, 1)


def test_the_order_of_records_does_not_matter():
    rng = np.random.default_rng(7)
    first, second, order = rng.random(40), rng.random(40), rng.permutation(40)
    once = paired_bootstrap(first, second, np.random.default_rng(1), rounds=100)
    again = paired_bootstrap(first[order], second[order], np.random.default_rng(1), rounds=100)
    assert once == again


def test_values_that_cannot_be_paired_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UnequalLengths):
        paired_bootstrap(np.zeros(3), np.zeros(4), rng)
    with pytest.raises(NothingToEvaluate):
        paired_bootstrap(np.zeros(0), np.zeros(0), rng)
