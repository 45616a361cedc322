"""Who trains, validates and tests: exact shares, the same for the same groups and seed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.data import snapshot
from volano.data.splits import Divider
from volano.schemas.data import SplitRule

_NAMES = st.sets(st.text("abcdefgh0123456789-", min_size=1, max_size=6), min_size=1, max_size=60)
_RULES = st.builds(
    SplitRule,
    seed=st.integers(0, 5),
    valid=st.sampled_from([0.1, 0.25, 0.5]),
    test=st.sampled_from([0.2, 0.5]),
)
_PARTS = st.integers(1, 7)
_CONTENTS = st.sets(st.binary(min_size=4, max_size=4), min_size=1, max_size=40)


def record(content: bytes, **facts: str) -> dict[str, Any]:
    """Return a line of one contributor's record with these facts."""
    line = {"record": content.hex(), "label": "circle", "contributor": "ada", "segment": "s"}
    return line | {"content": content, "row": 0, "given": "", "group": ""} | facts


def divided(
    rule: SplitRule, records: Sequence[dict[str, Any]], part: int = 1000
) -> list[tuple[dict[str, Any], str]]:
    """Divide records that come `part` at a time; return each with its split."""
    divider = Divider(rule)
    parts = [
        pa.RecordBatch.from_pylist(records[at : at + part], schema=snapshot.LINES)
        for at in range(0, len(records), part)
    ]
    for some in parts:
        divider.add(some)
    assert divider.contributors == len({one["contributor"] for one in records})
    division = divider.division()
    splits = [split for some in parts for split in division.splits_of(some).to_pylist()]
    return list(zip(records, splits, strict=True))


def splits_by(field: str, found: Sequence[tuple[dict[str, Any], str]]) -> dict[Any, set[str]]:
    """Return the splits in which each value of a field is."""
    splits = defaultdict(set)
    for one, split in found:
        splits[one[field]].add(split)
    return dict(splits)


def by_contributor(rule: SplitRule, names: Iterable[str], part: int = 1000) -> dict[str, str]:
    """Divide contributors of one record each."""
    found = divided(rule, [record(b"", contributor=name) for name in names], part)
    return {one["contributor"]: split for one, split in found}


def shares(rule: SplitRule, groups: int) -> tuple[int, int, int]:
    """Return how many of so many groups train, validate and test."""
    test = max(1, round(rule.test * groups)) if groups > 1 else 0
    rest = groups - test
    valid = max(1, round(rule.valid * rest)) if rest > 1 else 0
    return rest - valid, valid, test


def counted(splits: Iterable[str]) -> tuple[int, int, int]:
    """Return how many train, validate and test."""
    found = Counter(splits)
    return found["train"], found["valid"], found["test"]


@given(_RULES, _NAMES, _PARTS)
def test_a_contributor_is_in_one_split_with_all_records(
    rule: SplitRule, names: set[str], part: int
) -> None:
    records = [record(bytes([n]), contributor=name) for n in range(3) for name in names]
    splits = splits_by("contributor", divided(rule, records, part))
    assert set(splits) == names
    assert {len(of) for of in splits.values()} == {1}


@given(_RULES, _NAMES, _PARTS, st.integers(0, 9))
def test_order_and_parts_of_the_records_do_not_matter(
    rule: SplitRule, names: set[str], part: int, seed: int
) -> None:
    shuffled = sorted(names)
    Random(seed).shuffle(shuffled)
    assert by_contributor(rule, sorted(names)) == by_contributor(rule, shuffled, part)


@given(_RULES, _NAMES)
def test_the_shares_are_exact(rule: SplitRule, names: set[str]) -> None:
    found = by_contributor(rule, names)
    assert counted(found.values()) == shares(rule, len(names))


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "valid": 1, "test": 1}),
        (10, {"train": 7, "valid": 1, "test": 2}),
    ],
)
def test_few_contributors_leave_splits_empty_but_never_the_one_that_trains(
    people: int, expected: dict[str, int]
) -> None:
    found = by_contributor(SplitRule(), [f"player {n}" for n in range(people)])
    assert Counter(found.values()) == expected


@given(_NAMES, st.sampled_from([0.2, 0.5]), st.text("xyz", min_size=1, max_size=3))
def test_one_contributor_more_moves_at_most_one_other_out_of_test(
    names: set[str], share: float, newcomer: str
) -> None:
    rule = SplitRule(test=share)
    before, after = by_contributor(rule, names), by_contributor(rule, names | {newcomer})
    out = [name for name in names if before[name] == "test" != after[name]]
    assert len(out) <= 1


def test_another_seed_chooses_others() -> None:
    names = [f"player-{number}" for number in range(40)]
    assert by_contributor(SplitRule(seed=0), names) != by_contributor(SplitRule(seed=1), names)


@given(_NAMES, st.text("abcdefgh", min_size=1, max_size=2))
def test_named_contributors_are_the_test_split_whatever_the_share_says(
    names: set[str], start: str
) -> None:
    splits = by_contributor(SplitRule(test=0.5, test_contributors=[f"{start}*"]), names)
    tested = {name for name, split in splits.items() if split == "test"}
    assert tested == {name for name in names if name.startswith(start)}


def test_a_contributor_is_named_as_a_filter_names_one() -> None:
    rule = SplitRule(test_contributors=["team[1]", "p-?"])
    splits = by_contributor(rule, ["team[1]", "team1", "p-1", "p-10", "ada"])
    assert {name for name, split in splits.items() if split == "test"} == {"team[1]", "p-1"}


@given(_RULES, _CONTENTS, _PARTS, st.sampled_from(["record", "content", "given", "group"]))
def test_by_content_the_shares_are_of_contents_and_one_person_is_enough(
    rule: SplitRule, contents: set[bytes], part: int, by: Any
) -> None:
    """So are those of records without a group or a split, where the rule goes by these."""
    asked = SplitRule(by=by, seed=rule.seed, valid=rule.valid, test=rule.test)
    found = divided(asked, [record(content) for content in contents], part)
    assert counted(split for _, split in found) == shares(rule, len(contents))


@pytest.mark.parametrize("by", ["record", "content", "given", "group"])
def test_equal_contents_are_in_one_split(by: Any) -> None:
    records = [record(bytes([n]), contributor=name) for name in ("ada", "bob") for n in range(20)]
    splits = splits_by("content", divided(SplitRule(by=by), records))
    assert {len(of) for of in splits.values()} == {1}
    assert set.union(*splits.values()) == {"train", "valid", "test"}


def test_by_record_named_contributors_test_and_the_others_do_not() -> None:
    records = [
        record(f"{name} {n}".encode(), contributor=name)
        for name in ("ada", "bob", "eve")
        for n in range(10)
    ]
    found = divided(SplitRule(by="record", test_contributors=["b*"]), records)
    assert {one["contributor"] for one, split in found if split == "test"} == {"bob"}
    assert splits_by("contributor", found)["bob"] == {"test"}
    others = Counter(split for one, split in found if one["contributor"] != "bob")
    assert others == {"train": 18, "valid": 2}


@given(_PARTS)
def test_by_content_what_equals_a_test_record_tests_as_well(part: int) -> None:
    records = [record(bytes([n]), contributor=name) for name in ("ada", "bob") for n in range(9)]
    records += [record(bytes([n]), contributor="ada") for n in range(9, 19)]
    found = divided(SplitRule(by="content", test_contributors=["bob"]), records, part)
    tested = {one["content"] for one, split in found if split == "test"}
    assert tested == {bytes([n]) for n in range(9)}
    assert {len(of) for of in splits_by("content", found).values()} == {1}


@given(_RULES, _NAMES, _PARTS)
def test_by_group_a_group_is_in_one_split_whoever_its_records_are_of(
    rule: SplitRule, groups: set[str], part: int
) -> None:
    records = [
        record(f"{group} {n}".encode(), group=group, contributor=f"person {n}")
        for n in range(3)
        for group in groups
    ]
    asked = SplitRule(by="group", seed=rule.seed, valid=rule.valid, test=rule.test)
    splits = splits_by("group", divided(asked, records, part))
    assert {len(of) for of in splits.values()} == {1}
    assert counted(*zip(*splits.values(), strict=True)) == shares(rule, len(groups))


@pytest.mark.parametrize(
    ("given", "split"),
    [
        ("train", "train"),
        ("training", "train"),
        ("val", "valid"),
        ("valid", "valid"),
        ("validation", "valid"),
        ("dev", "valid"),
        ("test", "test"),
        ("testing", "test"),
    ],
)
def test_a_split_that_was_given_is_kept_by_all_its_usual_names(given: str, split: str) -> None:
    records = [record(bytes([n]), given=given) for n in range(20)]
    found = divided(SplitRule(by="given"), records)
    assert {split for _, split in found} == {split}


def test_what_came_without_a_split_goes_with_an_equal_record_or_by_content() -> None:
    records = [record(bytes([n]), given="train") for n in range(10)]
    records += [record(bytes([n]), given="test") for n in range(10, 20)]
    equal = [record(bytes([n]), contributor="bob") for n in range(20)]
    others = [record(bytes([n]), given="fold-3") for n in range(20, 40)]
    found = divided(SplitRule(by="given"), records + equal + others)
    splits = splits_by("content", found)
    assert all(splits[bytes([n])] == {"train"} for n in range(10))
    assert all(splits[bytes([n])] == {"test"} for n in range(10, 20))
    # There is a test split already, so none of these tests.
    open_ones = Counter(split for one, split in found if one["given"] == "fold-3")
    assert open_ones == {"train": 18, "valid": 2}


def test_given_wins_over_a_contributor_who_is_named_to_test() -> None:
    records = [record(bytes([n]), given="train" if n % 2 else "") for n in range(10)]
    found = divided(SplitRule(by="given", test_contributors=["ada"]), records)
    assert all(split == ("train" if one["given"] else "test") for one, split in found)


def test_contents_that_came_in_several_splits_are_found_and_stay_where_they_came() -> None:
    records = [record(bytes([n]), given="train") for n in range(6)]
    records += [record(bytes([n]), given="test", contributor="bob") for n in range(4, 8)]
    lines = pa.RecordBatch.from_pylist(records, schema=snapshot.LINES)
    divider = Divider(SplitRule(by="given"))
    divider.add(lines)
    division = divider.division()
    assert len(division.shared) == 2
    assert Counter(division.shared_in(lines)) == {(b"\x04", "04"): 2, (b"\x05", "05"): 2}
    assert division.splits_of(lines).to_pylist() == ["train"] * 6 + ["test"] * 4


def test_by_none_all_records_train_but_those_of_whom_is_named_to_test() -> None:
    records = [record(bytes([n]), contributor="ada" if n % 2 else "bob") for n in range(10)]
    alone = divided(SplitRule(by="none"), records)
    assert {split for _, split in alone} == {"train"}
    named = splits_by(
        "contributor", divided(SplitRule(by="none", test_contributors=["bob"]), records)
    )
    assert named == {"ada": {"train"}, "bob": {"test"}}


@given(_RULES, st.integers(0, 5), _PARTS)
def test_stratified_the_shares_hold_for_each_label(rule: SplitRule, seed: int, part: int) -> None:
    labels = ["rare"] * 3 + ["some"] * 10 + ["many"] * 31
    records = [record(bytes([n]), label=label) for n, label in enumerate(labels)]
    Random(seed).shuffle(records)
    asked = SplitRule(
        by="content", stratified=True, seed=rule.seed, valid=rule.valid, test=rule.test
    )
    found = divided(asked, records, part)
    for label in ("rare", "some", "many"):
        splits = [split for one, split in found if one["label"] == label]
        assert counted(splits) == shares(rule, labels.count(label))


@given(st.integers(0, 5), _PARTS)
def test_stratified_equal_contents_of_two_labels_are_in_one_split(seed: int, part: int) -> None:
    records = [record(bytes([n]), label=label) for n in range(20) for label in ("a", "b")]
    Random(seed).shuffle(records)
    found = divided(SplitRule(by="content", stratified=True), records, part)
    assert {len(of) for of in splits_by("content", found).values()} == {1}
