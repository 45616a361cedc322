"""Figures of a classifier against a slow oracle and a table worked by hand."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.evaluation import classify
from volano.schemas.evaluation import (
    BadClassList,
    BadScores,
    BadTruth,
    ClassificationReport,
    NothingToEvaluate,
)

CLASSES = ["circle", "heart", "line"]


def certain(predicted, classes=3):
    return np.eye(classes)[np.array(predicted)]


HAND_TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
HAND_PREDICTED = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0]


def hand_report() -> ClassificationReport:
    return classify.report(HAND_TRUTH, certain(HAND_PREDICTED), CLASSES)


def test_the_figures_worked_by_hand():
    found = hand_report()
    assert found.confusion == [[3, 1, 0], [0, 2, 1], [1, 0, 2]]
    assert found.support == [4, 3, 3]
    assert found.accuracy == 0.7
    assert found.n == 10
    circle, heart, line = found.per_class
    assert (circle.precision, circle.recall, circle.f1) == (3 / 4, 3 / 4, 3 / 4)
    assert pytest.approx((heart.precision, heart.recall, heart.f1)) == (2 / 3, 2 / 3, 2 / 3)
    assert pytest.approx((line.precision, line.recall, line.f1)) == (2 / 3, 2 / 3, 2 / 3)
    assert pytest.approx(found.macro.f1) == (3 / 4 + 2 / 3 + 2 / 3) / 3
    assert pytest.approx(found.weighted.recall) == (4 * 3 / 4 + 3 * 2 / 3 + 3 * 2 / 3) / 10
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == (0.7, 0.7, 0.7)
    assert (
        round(found.accuracy_interval.low, 4),
        round(found.accuracy_interval.high, 4),
    ) == (0.3968, 0.8922)


def test_the_worst_confusions_come_first():
    truth = np.array([0, 0, 0, 1, 2, 2])
    found = classify.report(truth, certain([2, 2, 1, 0, 2, 2]), CLASSES).top_confusions
    assert [(c.truth, c.predicted, c.count) for c in found] == [
        ("circle", "line", 2),
        ("circle", "heart", 1),
        ("heart", "circle", 1),
    ]
    assert pytest.approx([c.share for c in found]) == [2 / 3, 1 / 3, 1]


def oracle(truth, predicted, classes):
    """Precision, recall and F1 of each class with support, counted record by record."""
    rows = []
    for c in range(classes):
        pairs = list(zip(truth, predicted, strict=True))
        tp = sum(1 for t, p in pairs if t == c and p == c)
        fp = sum(1 for t, p in pairs if t != c and p == c)
        fn = sum(1 for t, p in pairs if t == c and p != c)
        if tp + fn == 0:
            continue
        precision = tp / (tp + fp) if tp + fp else 0.0
        recall = tp / (tp + fn)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rows.append((tp + fn, precision, recall, f1))
    return rows


@given(st.data(), st.integers(1, 6))
def test_every_figure_agrees_with_the_slow_oracle(data, classes):
    label = st.integers(0, classes - 1)
    pairs = data.draw(st.lists(st.tuples(label, label), min_size=1, max_size=50))
    truth, predicted = zip(*pairs, strict=True)
    names = [f"c{i}" for i in range(classes)]
    found = classify.report(np.array(truth), certain(predicted, classes), names)
    rows = oracle(truth, predicted, classes)
    present = [f for f in found.per_class if f.support]
    assert [r[1:] for r in rows] == [pytest.approx((f.precision, f.recall, f.f1)) for f in present]
    n = len(truth)
    for at, name in enumerate(("precision", "recall", "f1"), start=1):
        macro = sum(r[at] for r in rows) / len(rows)
        weighted = sum(r[0] * r[at] for r in rows) / n
        assert macro == pytest.approx(getattr(found.macro, name))
        assert weighted == pytest.approx(getattr(found.weighted, name))
    assert sum(t == p for t, p in pairs) / n == found.accuracy == found.micro.f1
    assert found.weighted.recall == pytest.approx(found.accuracy)


@given(st.permutations(range(10)))
def test_the_order_of_records_does_not_matter(order):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 10)
    truth = rng.integers(0, 3, 10)
    once = classify.report(truth, probabilities, CLASSES)
    again = classify.report(truth[order], probabilities[order], CLASSES)
    assert once.confusion == again.confusion
    assert once.macro == again.macro
    assert once.ece_before == pytest.approx(again.ece_before)


def test_a_class_absent_from_the_test_set_has_no_figures_and_no_say():
    found = classify.report(np.array([0, 0]), certain([0, 1]), CLASSES)
    heart, line = found.per_class[1:]
    assert (heart.precision, heart.recall, heart.f1) == (0.0, None, None)
    assert (line.precision, line.recall, line.f1) == (None, None, None)
    assert (found.macro.precision, found.macro.recall) == (1.0, 0.5)


def test_a_class_that_is_never_predicted_has_precision_0():
    found = classify.report(np.array([0, 1]), certain([0, 0]), CLASSES)
    heart = found.per_class[1]
    assert (heart.precision, heart.recall, heart.f1) == (0.0, 0.0, 0.0)


def test_one_class_is_always_right():
    found = classify.report(np.zeros(5, np.int64), np.ones((5, 1)), ["line"])
    assert (found.accuracy, found.macro.f1, found.ece_before) == (1.0, 1.0, 0.0)
    assert found.top_confusions == []


def test_small_integers_do_not_overflow():
    names = [f"c{i}" for i in range(100)]
    truth = np.arange(100, dtype=np.uint8)
    assert classify.report(truth, np.eye(100), names).accuracy == 1


def test_the_temperature_moves_the_calibration_and_nothing_else():
    rng = np.random.default_rng(4)
    probabilities, truth = rng.dirichlet(np.ones(3) / 3, 200), rng.integers(0, 3, 200)
    raw = classify.report(truth, probabilities, CLASSES)
    hot = classify.report(truth, probabilities, CLASSES, temperature=5.0)
    assert raw.ece_before == raw.ece_after == hot.ece_before
    assert hot.ece_after < hot.ece_before
    assert raw.confusion == hot.confusion
    assert hot.temperature == 5.0


def test_the_report_survives_the_wire():
    found = hand_report()
    wire = msgspec.json.encode(found)
    assert found == msgspec.json.decode(wire, type=ClassificationReport)


@pytest.mark.parametrize(
    ("truth", "probabilities", "classes", "error"),
    [
        ([], np.zeros((0, 3)), CLASSES, NothingToEvaluate),
        ([0], [[math.nan, 0.5, 0.5]], CLASSES, BadScores),
        ([0], [[0.2, 0.2, 0.2]], CLASSES, BadScores),
        ([3], certain([0]), CLASSES, BadTruth),
        ([0, 1], certain([0]), CLASSES, BadTruth),
        ([0], certain([0]), ["a", "b"], BadClassList),
        ([0], certain([0]), ["a", "b", "b"], BadClassList),
    ],
)
def test_what_cannot_be_measured_is_refused(truth, probabilities, classes, error):
    with pytest.raises(error):
        classify.report(np.array(truth, np.int64), np.array(probabilities), classes)


def test_log_loss_and_brier_score_worked_by_hand():
    truth = np.array([0, 1, 1])
    found = classify.report(truth, np.array([[0.5, 0.5], [0.25, 0.75], [0.8, 0.2]]), ["a", "b"])
    assert found.log_loss == pytest.approx(-math.log(0.5 * 0.75 * 0.2) / 3)
    assert found.brier == pytest.approx((0.5 + 0.125 + 1.28) / 3)


def test_log_loss_and_brier_score_are_those_of_calibrated_probabilities():
    truth = np.array([0, 1])
    odds = np.array([[0.9, 0.1], [0.1, 0.9]])
    found = classify.report(truth, odds, ["a", "b"], temperature=2.0)
    assert found.log_loss == pytest.approx(-math.log(3 / 4))
    assert found.brier == pytest.approx(2 * 0.25**2)


def test_a_truth_that_was_called_impossible_has_no_log_loss():
    found = hand_report()
    assert found.log_loss is None
    assert found.brier == pytest.approx(2 * 0.3)


def test_a_baseline_is_measured_by_its_answers_alone():
    found = classify.baseline("guess", HAND_TRUTH, np.array(HAND_PREDICTED), CLASSES)
    assert found.name == "guess"
    assert found.accuracy == hand_report().accuracy
    assert found.macro_f1 == hand_report().macro.f1


def test_a_report_of_before_there_were_other_kinds_is_read():
    document = msgspec.to_builtins(hand_report())
    for later in ("type", "log_loss", "brier", "baseline"):
        del document[later]
    found = msgspec.json.decode(msgspec.json.encode(document), type=ClassificationReport)
    assert found.accuracy == 0.7
    assert found.baseline is None
