"""The lines of a snapshot, its hash, and what it warns of: pure functions of what is in it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from volano.data import snapshot
from volano.schemas.data import Overlap, RecordFilter, Snapshot, SplitRule

_RECORD = st.fixed_dictionaries(
    {
        "record": st.uuids().map(str),
        "content": st.binary(min_size=32, max_size=32),
        "label": st.sampled_from(["square", "circle", "あ"]),
        "contributor": st.sampled_from(["ada", "bob", "eve"]),
        "split": st.sampled_from(["train", "valid", "test"]),
        "segment": st.sampled_from(["seg_a", "seg_b"]),
        "row": st.integers(0, 9),
    }
)
_RECORDS = st.lists(_RECORD, min_size=1, max_size=12, unique_by=lambda one: one["record"])


def digest(records: Sequence[dict[str, Any]], part: int = 5) -> str:
    """Return the hash of these lines, which come `part` at a time."""
    hasher, ordered = snapshot.Digest(), sorted(records, key=lambda one: one["record"])
    for at in range(0, len(ordered), part):
        hasher.add(pa.RecordBatch.from_pylist(ordered[at : at + part], schema=snapshot.MANIFEST))
    return hasher.hex()


@given(st.lists(st.uuids(), min_size=1, max_size=20))
def test_rows_become_lines_with_their_ids_as_texts(ids: list[Any]) -> None:
    rows = [
        (id.bytes, b"content", "square", "ada", "seg_a", n, "val", "1") for n, id in enumerate(ids)
    ]
    found = snapshot.lines(rows).to_pylist()
    assert [line["record"] for line in found] == [str(id) for id in ids]
    assert [line["row"] for line in found] == list(range(len(ids)))
    assert found[0] | {"record": ""} == {
        "record": "",
        "content": b"content",
        "label": "square",
        "contributor": "ada",
        "segment": "seg_a",
        "row": 0,
        "given": "val",
        "group": "1",
    }


@given(_RECORDS, st.integers(1, 6))
def test_the_hash_is_over_record_label_split_and_content(
    records: list[dict[str, Any]], part: int
) -> None:
    """Hashes are names that people keep: changing how they are made makes all of them strangers."""
    expected = blake3(b"volano snapshot 1")
    for one in sorted(records, key=lambda one: one["record"]):
        expected.update(f"\n{one['record']}\0{one['label']}\0{one['split']}\0".encode())
        expected.update(one["content"])
    assert digest(records, part) == expected.hexdigest()


@given(_RECORDS)
def test_the_hash_does_not_depend_on_where_payloads_lie(records: list[dict[str, Any]]) -> None:
    elsewhere = [one | {"segment": "seg_c", "row": 77} for one in records]
    assert digest(elsewhere) == digest(records)


@given(_RECORDS, st.data())
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "triangle"),
        ("content", bytes(32)),
        ("record", "00000000-0000-7000-8000-000000000000"),
        ("split", "elsewhere"),
    ],
)
def test_another_label_content_record_or_split_gives_another_hash(
    field: str, value: object, records: list[dict[str, Any]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    changed = [one | {field: value} if n == at else one for n, one in enumerate(records)]
    assert (digest(changed) == digest(records)) == (changed == records)


def test_a_part_of_a_larger_table_is_hashed_alone() -> None:
    records = [
        {"record": f"r{n}", "content": b"c", "label": "l", "split": "train"} for n in range(9)
    ]
    whole = pa.RecordBatch.from_pylist(records, schema=snapshot.MANIFEST)
    sliced, alone = snapshot.Digest(), snapshot.Digest()
    sliced.add(whole.slice(3, 4))
    alone.add(pa.RecordBatch.from_pylist(records[3:7], schema=snapshot.MANIFEST))
    assert sliced.hex() == alone.hex()


def frozen(**changes: Any) -> Snapshot:
    """Return a snapshot of two labels that lacks nothing, with these changes."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    whole = Snapshot(
        id="snap_1",
        hash="1",
        name="first",
        filter=RecordFilter(),
        split=SplitRule(),
        labels=["circle", "star"],
        records=11,
        by_split={"train": 8, "valid": 1, "test": 2},
        missing={"train": [], "valid": ["star"], "test": ["star"]},
        contributors=9,
        created_at=moment,
        created_by="mem_1",
    )
    return msgspec.structs.replace(whole, **changes)


def test_nothing_is_warned_of_where_every_label_trains_and_something_tests() -> None:
    assert snapshot.warnings(frozen()) == []
    assert snapshot.warnings(frozen(missing={})) == []


def test_labels_that_nothing_trains_are_warned_of_by_name() -> None:
    told = snapshot.warnings(frozen(missing={"train": ["star"]}))
    assert told == ["No model can learn 'star': nothing of it trains."]


def test_of_many_such_labels_eight_are_named() -> None:
    labels = [f"label-{n}" for n in range(12)]
    (told,) = snapshot.warnings(frozen(labels=labels, missing={"train": labels}))
    assert "'label-7' and 4 more:" in told
    assert "label-8" not in told


def test_a_single_label_is_warned_of() -> None:
    told = snapshot.warnings(frozen(labels=["star"]))
    assert told == ["All records have one label, 'star': nothing to tell apart."]


def test_empty_splits_are_warned_of_with_what_fills_them() -> None:
    told = snapshot.warnings(frozen(by_split={"train": 8, "valid": 0, "test": 0}))
    assert [one.partition(":")[0] for one in told] == ["Nothing validates", "Nothing tests"]
    assert "--split-by content" in told[1]
    by_record = frozen(by_split={"train": 1, "valid": 1, "test": 0}, split=SplitRule(by="record"))
    assert snapshot.warnings(by_record) == ["Nothing tests: too few records that differ."]


def test_contents_in_several_splits_are_warned_of_with_their_records() -> None:
    shared = Overlap(contents=2, records=[["a", "b"], ["c", "d"]])
    (told,) = snapshot.warnings(frozen(overlap=shared, split=SplitRule(by="given")))
    assert told.startswith("Of 2 contents there are records in several splits")
    assert told.endswith("a = b; c = d.")


def test_a_rule_survives_the_wire() -> None:
    rules = [SplitRule(), SplitRule(seed=3, test_contributors=["a*"]), SplitRule(by="record")]
    assert msgspec.json.decode(msgspec.json.encode(rules), type=list[SplitRule]) == rules


def test_a_rule_that_was_kept_before_it_could_say_by_what_is_by_contributor() -> None:
    kept = b'{"seed": 3, "valid": 0.1, "test": 0.2, "test_contributors": []}'
    assert msgspec.json.decode(kept, type=SplitRule).by == "contributor"
