"""Calibration against a slow oracle, cases worked by hand, and as properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.evaluation import calibrate
from volano.schemas.evaluation import BadScores, BadTruth, NothingToEvaluate


def some_logits(seed: int, n: int = 60, classes: int = 4, scale: float = 2.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (n, classes))
    truth = np.array([rng.choice(classes, p=row) for row in calibrate.softmax(logits / scale)])
    return logits, truth


def slow_ece(probabilities, truth, bins):
    total = 0.0
    for b in range(bins):
        inside = [
            (max(row), float(list(row).index(max(row)) == t))
            for row, t in zip(probabilities.tolist(), truth.tolist(), strict=True)
            if b / bins < max(row) <= (b + 1) / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(a for _, a in inside) / len(inside)
            total += len(inside) / len(truth) * abs(confidence - accuracy)
    return total


def loss(logits, truth, temperature):
    p = calibrate.softmax(logits, temperature)
    return -np.log(p[np.arange(len(truth)), truth]).mean()


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 15]))
def test_ece_agrees_with_the_slow_oracle(seed, bins):
    logits, truth = some_logits(seed)
    probabilities = calibrate.softmax(logits)
    expected = slow_ece(probabilities, truth, bins)
    assert expected == pytest.approx(calibrate.ece(probabilities, truth, bins))


def test_ece_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    truth = np.array([0, 1, 0, 1])
    # bins (0.8, 1]: 2 of 4, |0.5 - 0.9|; (0.4, 0.6]: 1, |1 - 0.6|; (0.6, 0.8]: 1, |1 - 0.7|
    assert (
        pytest.approx(calibrate.ece(probabilities, truth, bins=5))
        == 0.5 * 0.4 + 0.25 * 0.4 + 0.25 * 0.3
    )


@pytest.mark.parametrize(("confidence", "bin"), [(0.5, 1), (0.501, 2), (0.75, 2), (1.0, 3)])
def test_a_bin_holds_what_is_above_its_lower_end_up_to_its_upper_one(confidence, bin):
    found = calibrate.reliability(np.array([[confidence, 1 - confidence]]), np.array([0]), bins=4)
    assert [one.count for one in found] == [int(number == bin) for number in range(4)]
    assert found[bin].low < confidence <= found[bin].high


def test_certain_and_right_is_calibrated():
    assert calibrate.ece(np.eye(3), np.arange(3)) == 0


def test_certain_and_wrong_is_as_bad_as_can_be():
    assert calibrate.ece(np.eye(2), np.array([1, 0])) == 1


def test_reliability_bins_hold_every_record_once():
    logits, truth = some_logits(3)
    found = calibrate.reliability(calibrate.softmax(logits), truth)
    assert sum(b.count for b in found) == len(truth)
    assert [i / 15 for i in range(15)] == pytest.approx([b.low for b in found])
    assert all((b.confidence is None) == (b.count == 0) == (b.accuracy is None) for b in found)
    assert all(b.low < b.confidence <= b.high for b in found if b.count)


@given(st.integers(0, 1000), st.floats(0.2, 5))
def test_the_fitted_temperature_is_no_worse_than_its_neighbours(seed, scale):
    logits, truth = some_logits(seed, scale=scale)
    fitted = calibrate.fit_temperature(logits, truth)
    best = loss(logits, truth, fitted)
    for factor in (0.5, 0.9, 1.1, 2):
        other = min(max(fitted * factor, calibrate.COLDEST), calibrate.HOTTEST)
        assert best <= loss(logits, truth, other) + 1e-9


def test_logits_that_are_three_times_too_large_are_found_out():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 5))
    uniform = rng.random((20_000, 1))
    truth = (calibrate.softmax(honest).cumsum(axis=1) < uniform).sum(axis=1)
    fitted = calibrate.fit_temperature(3 * honest, truth)
    assert fitted == pytest.approx(3, rel=0.05)
    before = calibrate.ece(calibrate.softmax(3 * honest), truth)
    after = calibrate.ece(calibrate.softmax(3 * honest, fitted), truth)
    assert after < before / 5


def test_no_temperature_is_too_cold_for_a_model_that_is_always_right():
    logits = np.eye(3)
    assert pytest.approx(calibrate.fit_temperature(logits, np.arange(3))) == calibrate.COLDEST


def test_no_temperature_is_too_hot_for_a_model_that_is_always_wrong():
    logits = np.eye(3)
    wrong = np.array([1, 2, 0])
    assert pytest.approx(calibrate.fit_temperature(logits, wrong)) == calibrate.HOTTEST


def test_huge_logits_do_not_overflow():
    assert calibrate.softmax(np.array([[1e300, -1e300]])).tolist() == [[1, 0]]


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_softening_probabilities_is_dividing_logits(seed, temperature):
    logits, _ = some_logits(seed)
    softened = calibrate.soften(calibrate.softmax(logits), temperature)
    assert np.abs(calibrate.softmax(logits, temperature) - softened).max() < 1e-9


def test_softening_leaves_certainty_alone():
    assert np.eye(2).tolist() == calibrate.soften(np.eye(2), 2.0).round(12).tolist()


@pytest.mark.parametrize(
    "probabilities",
    [
        [[0.5, math.nan]],
        [[math.inf, 0]],
        [[0.5, 0.4]],
        [[1.5, -0.5]],
        [0.5, 0.5],
    ],
)
def test_what_is_not_a_probability_is_refused(probabilities):
    with pytest.raises(BadScores):
        calibrate.ece(np.array(probabilities), np.array([0]))


def test_the_first_faulty_row_is_named():
    with pytest.raises(BadScores) as refusal:
        calibrate.fit_temperature(np.array([[1, 2], [3, math.nan]]), np.array([0, 1]))
    assert refusal.value.facts == {"row": 1, "expected": "finite numbers"}


@pytest.mark.parametrize("truth", [[2], [-1], [0, 1], [0.5], []])
def test_a_truth_that_is_no_class_is_refused(truth):
    with pytest.raises(BadTruth):
        calibrate.ece(np.array([[0.5, 0.5]]), np.array(truth))


def test_no_records_at_all_are_refused():
    with pytest.raises(NothingToEvaluate):
        calibrate.ece(np.zeros((0, 3)), np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("total", "is_refused"), [(0.9991, False), (1.0009, False), (1.0011, True)]
)
def test_probabilities_sum_to_one_within_a_thousandth(total, is_refused):
    row = np.array([[total / 2, total / 2]])
    if is_refused:
        with pytest.raises(BadScores):
            calibrate.checked_probabilities(row)
    else:
        assert calibrate.checked_probabilities(row).tolist() == row.tolist()
