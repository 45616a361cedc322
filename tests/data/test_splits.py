"""Who trains, validates and tests: exact shares, the same for the same groups and seed."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def divided(
    rule: SplitRule, records: Iterable[tuple[str, bytes]], part: int = 1000
) -> list[tuple[str, bytes, str]]:
    """Divide records of (contributor, content) that come `part` at a time."""
    given, divider = list(records), Divider(rule)
    parts = [
        (
            pa.array([name for name, _ in given[at : at + part]], pa.string()),
            pa.array([content for _, content in given[at : at + part]], pa.binary()),
        )
        for at in range(0, len(given), part)
    ]
    for some in parts:
        divider.add(*some)
    assert divider.contributors == len({name for name, _ in given})
    division = divider.division()
    splits = [split for some in parts for split in division.splits_of(*some).to_pylist()]
    return [(*record, split) for record, split in zip(given, splits, strict=True)]


def by_contributor(rule: SplitRule, names: Iterable[str], part: int = 1000) -> dict[str, str]:
    """Divide contributors of one record each."""
    return {name: split for name, _, split in divided(rule, [(n, b"") for n in names], part)}


def by_content(rule: SplitRule, contents: Iterable[bytes], part: int = 1000) -> dict[bytes, str]:
    """Divide records of one contributor, each content once."""
    found = divided(rule, [("ada", content) for content in contents], part)
    return {content: split for _, content, split in found}


@given(_RULES, _NAMES, _PARTS)
def test_a_contributor_is_in_one_split_with_all_records(
    rule: SplitRule, names: set[str], part: int
) -> None:
    records = [(name, bytes([n])) for n in range(3) for name in names]
    splits = defaultdict(set)
    for name, _, split in divided(rule, records, part):
        splits[name].add(split)
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
    found = Counter(by_contributor(rule, names).values())
    test = max(1, round(rule.test * len(names))) if len(names) > 1 else 0
    rest = len(names) - test
    valid = max(1, round(rule.valid * rest)) if rest > 1 else 0
    assert (found["test"], found["valid"], found["train"]) == (test, valid, rest - valid)


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


@given(_RULES, st.sets(st.binary(min_size=4, max_size=4), min_size=1, max_size=40), _PARTS)
def test_by_record_the_shares_are_of_records_and_one_person_is_enough(
    rule: SplitRule, contents: set[bytes], part: int
) -> None:
    by_record = SplitRule(by="record", seed=rule.seed, valid=rule.valid, test=rule.test)
    found = Counter(by_content(by_record, contents, part).values())
    test = max(1, round(rule.test * len(contents))) if len(contents) > 1 else 0
    rest = len(contents) - test
    valid = max(1, round(rule.valid * rest)) if rest > 1 else 0
    assert (found["test"], found["valid"], found["train"]) == (test, valid, rest - valid)


def test_by_record_equal_contents_are_in_one_split() -> None:
    records = [(name, bytes([n])) for name in ("ada", "bob") for n in range(20)]
    splits = defaultdict(set)
    for _, content, split in divided(SplitRule(by="record"), records):
        splits[content].add(split)
    assert {len(of) for of in splits.values()} == {1}
    assert {split for of in splits.values() for split in of} == {"train", "valid", "test"}


def test_by_record_named_contributors_test_and_the_others_do_not() -> None:
    records = [(name, f"{name} {n}".encode()) for name in ("ada", "bob", "eve") for n in range(10)]
    rule = SplitRule(by="record", test_contributors=["b*"])
    found = divided(rule, records)
    assert {name for name, _, split in found if split == "test"} == {"bob"}
    assert {split for name, _, split in found if name == "bob"} == {"test"}
    assert Counter(split for name, _, split in found if name != "bob") == {"train": 18, "valid": 2}
