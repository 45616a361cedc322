"""Which classes can be learned and measured, and what is said of the others."""

from collections import Counter

import pytest

from volano.evaluation import coverage
from volano.schemas.harness import BadData, NoRecords, OneClass


def counts(train: str, valid: str, test: str) -> dict[str, Counter[str]]:
    """A record of the class `a` in train for each letter `a` of the first text, and so on."""
    return {"train": Counter(train), "valid": Counter(valid), "test": Counter(test)}


def test_the_classes_to_learn_are_those_of_train_and_valid_by_name():
    assert coverage.learnable(counts("bba", "ac", "d")) == ["a", "b", "c"]


def test_a_single_class_is_refused_by_its_name_and_number():
    with pytest.raises(OneClass) as refused:
        coverage.learnable(counts("aaa", "aa", "ab"))
    assert refused.value.message == (
        "All 5 records to learn from are of one class, 'a': there is no other."
    )


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_without_records_is_refused_by_its_name(split: str):
    full = counts("ab", "ab", "ab")
    with pytest.raises(NoRecords) as refused:
        coverage.learnable(full | {split: Counter()})
    assert refused.value.facts["split"] == split


def test_what_cannot_be_learned_is_the_fault_of_the_data():
    assert issubclass(OneClass, BadData)
    assert issubclass(NoRecords, BadData)


def test_classes_that_are_in_every_split_are_no_reason_to_warn():
    assert coverage.warnings(counts("aabb", "ab", "ab")) == []


def test_a_class_only_in_test_is_named_with_the_mistakes_that_it_makes():
    assert coverage.warnings(counts("ab", "ab", "abccc")) == [
        "'c' is only in the test split: the model has never seen such records and cannot answer"
        " so; 3 of the test count as mistakes."
    ]


def test_a_class_only_in_valid_is_named():
    assert coverage.warnings(counts("ab", "abc", "abc")) == [
        "'c' is in the valid split and not in train: the model may not have learnt it."
    ]


def test_classes_without_a_test_are_named():
    assert coverage.warnings(counts("abc", "abc", "a")) == [
        "'b', 'c' are not in the test split: how well the model knows them is not measured,"
        " whatever the accuracy says."
    ]


def test_of_many_classes_ten_are_named_and_the_others_counted():
    many = Counter(f"class {number:02}" for number in range(13))
    (warning,) = coverage.warnings(counts("ab", "ab", "ab") | {"test": Counter("ab") + many})
    assert warning.startswith("'class 00', 'class 01', ")
    assert "'class 09' and 3 more are only in the test split" in warning
    assert "class 10" not in warning


def test_only_splits_that_are_needed_must_have_records():
    assert coverage.learnable(counts("ba", "", ""), needed=("train",)) == ["a", "b"]
    with pytest.raises(NoRecords):
        coverage.learnable(counts("", "ab", ""), needed=("train",))


def test_a_test_split_that_is_empty_leaves_no_class_unmeasured():
    assert coverage.warnings(counts("ab", "ab", "")) == []
