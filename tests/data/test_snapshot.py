"""Splits, hash and manifest of a snapshot: pure functions of what is in it."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.data.snapshot import Entry, assign, counts, digest, line, manifest, matches
from volano.schemas.data import Split, SplitRule

_names = st.sets(st.text("abcdefgh0123456789-", min_size=1, max_size=6), min_size=1, max_size=60)
_rules = st.builds(
    SplitRule,
    seed=st.integers(0, 5),
    valid=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    test=st.sampled_from([0.0, 0.2, 0.5]),
)


@given(_rules, _names)
def test_every_contributor_is_in_exactly_one_split(rule: SplitRule, names: set[str]) -> None:
    splits = assign(rule, list(names) * 2)
    assert names == set(splits)
    assert set(splits.values()) <= {"train", "valid", "test"}


@given(_rules, _names, st.randoms(use_true_random=False))
def test_the_order_of_the_contributors_does_not_matter(
    rule: SplitRule, names: set[str], rng: object
) -> None:
    shuffled = sorted(names)
    rng.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis gives a random.Random
    assert assign(rule, sorted(names)) == assign(rule, shuffled)


@given(_rules, _names)
def test_the_shares_are_exact(rule: SplitRule, names: set[str]) -> None:
    found = Counter(assign(rule, names).values())
    test = max(1, round(rule.test * len(names))) if rule.test and len(names) > 1 else 0
    rest = len(names) - test
    valid = max(1, round(rule.valid * rest)) if rule.valid and rest > 1 else 0
    assert (test, valid, rest - valid) == (found["test"], found["valid"], found["train"])


@given(_names, st.sampled_from([0.2, 0.5]), st.text("xyz", min_size=1, max_size=3))
def test_one_contributor_more_moves_at_most_one_other_out_of_test(
    names: set[str], share: float, newcomer: str
) -> None:
    rule = SplitRule(test=share, valid=0.0)
    before, after = assign(rule, names), assign(rule, names | {newcomer})
    moved = [name for name in names if before[name] != after[name]]
    assert len(moved) <= 1


def test_another_seed_chooses_others() -> None:
    names = [f"drawer-{number}" for number in range(40)]
    assert assign(SplitRule(seed=0), names) != assign(SplitRule(seed=1), names)


@given(_names, st.text("abcdefgh", min_size=1, max_size=2))
def test_named_contributors_are_the_test_split_whatever_the_share_says(
    names: set[str], start: str
) -> None:
    splits = assign(SplitRule(test=0.5, test_contributors=[f"{start}*"]), names)
    tested = {name for name, split in splits.items() if split == "test"}
    assert {name for name in names if name.startswith(start)} == tested


@pytest.mark.parametrize(
    ("name", "patterns", "fits"),
    [
        ("latin-07", ["latin-*"], True),
        ("latin-07", ["latin-0?"], True),
        ("Latin-07", ["latin-*"], False),
        ("greek-07", ["latin-*", "gr[ae]ek-07"], True),
        ("greek-07", [], False),
    ],
)
def test_patterns_are_those_of_a_shell(name: str, patterns: list[str], fits: bool) -> None:
    assert fits == matches(name, patterns)


_entries = st.lists(
    st.builds(
        Entry,
        record=st.uuids().map(str),
        content=st.binary(min_size=32, max_size=32),
        label=st.sampled_from(["square", "circle"]),
        contributor=st.sampled_from(["ada", "bob", "eve"]),
        segment=st.sampled_from(["seg_a", "seg_b"]),
        row=st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda entry: entry.record,
)

_SPLITS: dict[str, Split] = {"ada": "train", "bob": "valid", "eve": "test"}


@given(_entries)
def test_the_hash_does_not_depend_on_order_or_on_where_payloads_lie(
    entries: list[Entry],
) -> None:
    elsewhere = [_changed(entry, segment="seg_c", row=77) for entry in reversed(entries)]
    assert digest(entries, _SPLITS) == digest(elsewhere, _SPLITS)


@given(_entries, st.data())
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "triangle"),
        ("content", bytes(32)),
        ("record", "00000000-0000-7000-8000-000000000000"),
    ],
)
def test_another_label_content_or_record_gives_another_hash(
    field: str, value: object, entries: list[Entry], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    changed = [_changed(e, **{field: value}) if n == at else e for n, e in enumerate(entries)]
    assert (entries == changed) == (digest(entries, _SPLITS) == digest(changed, _SPLITS))


@given(_entries)
def test_another_split_gives_another_hash(entries: list[Entry]) -> None:
    moved = _SPLITS | {entries[0].contributor: "elsewhere"}
    assert digest(entries, _SPLITS) != digest(entries, moved)  # type: ignore[arg-type] # no split


@given(_entries)
def test_the_manifest_is_sorted_and_says_what_the_entries_say(entries: list[Entry]) -> None:
    lines = [line(values) for values in manifest(entries, _SPLITS).to_pylist()]
    ordered = sorted(entries, key=lambda entry: entry.record)
    told = [(e.record, e.content.hex(), e.label, e.contributor) for e in ordered]
    assert told == [(one.id, one.content, one.label, one.contributor) for one in lines]
    assert [_SPLITS[e.contributor] for e in ordered] == [one.split for one in lines]


@given(_entries)
def test_every_split_is_counted_also_an_empty_one(entries: list[Entry]) -> None:
    found = counts(entries, _SPLITS)
    assert list(found) == ["train", "valid", "test"]
    assert len(entries) == sum(found.values())


def test_the_hash_of_a_known_list_stays_what_it_is() -> None:
    """Hashes are names that people keep: changing how they are made makes all of them strangers."""
    entries = [
        Entry(f"00000000-0000-7000-8000-{n:012}", bytes([n] * 32), "square", "ada", "s", n)
        for n in range(3)
    ]
    expected = "b58952ce952225b12b9f9831c3d8b6e92bfcbbd958e114e3af6eab70ad07a9d0"
    assert expected == digest(entries, {"ada": "train"})


def _changed(entry: Entry, **changes: object) -> Entry:
    facts: dict[str, object] = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**(facts | changes))  # type: ignore[arg-type] # of the fields' types


def test_a_rule_survives_the_wire() -> None:
    rules: Sequence[SplitRule] = [SplitRule(), SplitRule(seed=3, test_contributors=["a*"])]
    wire = msgspec.json.encode(rules)
    assert list(rules) == msgspec.json.decode(wire, type=list[SplitRule])
