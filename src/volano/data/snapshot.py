"""What a snapshot is made of: the splits, the hash, the manifest. Values in, values out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa
from blake3 import blake3

from volano.core.segments import parquet
from volano.schemas import data as schemas

_SCHEMA = b"volano snapshot 1"
_ROW_GROUP = 4096
"""Lines in what one read of a manifest fetches: 190 kB; the footer has 190 kB a million lines."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a snapshot, and where its payload stands."""

    record: str
    content: bytes
    label: str
    contributor: str
    segment: str
    row: int


def assign(rule: schemas.SplitRule, contributors: Iterable[str]) -> dict[str, schemas.Split]:
    """The split of every contributor; it depends on the rule and the names, not on their order.

    A contributor's place is its rank by a seeded hash, so the shares hold exactly (rounded, at
    least one each if not zero) however few people there are.
    """
    ranked = sorted(set(contributors), key=lambda name: _rank(rule.seed, name))
    test = _test_split(rule, ranked)
    others = [name for name in ranked if name not in test]
    valid = set(others[: _share(rule.valid, len(others))])
    splits: dict[str, schemas.Split] = dict.fromkeys(others, "train")
    return splits | dict.fromkeys(valid, "valid") | dict.fromkeys(test, "test")


def _test_split(rule: schemas.SplitRule, ranked: Sequence[str]) -> set[str]:
    if rule.test_contributors:
        return {name for name in ranked if matches(name, rule.test_contributors)}
    return set(ranked[: _share(rule.test, len(ranked))])


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns (`*`, `?`, `[…]`)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _share(fraction: float, count: int) -> int:
    return max(1, round(fraction * count)) if fraction and count > 1 else 0


def _rank(seed: int, name: str) -> bytes:
    return blake3(f"{seed}\0{name}".encode()).digest()


def digest(entries: Sequence[Entry], splits: dict[str, schemas.Split]) -> str:
    """blake3 over the sorted (record, content, label, split), hex: equal lists, equal hashes."""
    hasher = blake3(_SCHEMA)
    for entry in sorted(entries, key=lambda e: e.record):
        split = splits[entry.contributor]
        hasher.update(f"\n{entry.record}\0{entry.label}\0{split}\0".encode())
        hasher.update(entry.content)
    return hasher.hexdigest()


def encode(entries: Sequence[Entry], splits: dict[str, schemas.Split]) -> bytes:
    """The manifest as it is stored."""
    return parquet.encode(manifest(entries, splits), group=_ROW_GROUP)


def manifest(entries: Sequence[Entry], splits: dict[str, schemas.Split]) -> pa.Table:
    """The snapshot as a table sorted by record, so that membership is one range look-up."""
    ordered = sorted(entries, key=lambda e: e.record)
    return pa.table(
        {
            "record": [e.record for e in ordered],
            "content": [e.content for e in ordered],
            "label": [e.label for e in ordered],
            "contributor": [e.contributor for e in ordered],
            "split": [splits[e.contributor] for e in ordered],
            "segment": [e.segment for e in ordered],
            "row": pa.array([e.row for e in ordered], pa.int32()),
        }
    )


def counts(entries: Iterable[Entry], splits: dict[str, schemas.Split]) -> dict[str, int]:
    """Records by split, in the order train, valid, test."""
    found = Counter(splits[entry.contributor] for entry in entries)
    return {split: found[split] for split in ("train", "valid", "test")}


def line(values: dict[str, Any]) -> schemas.SnapshotRecord:
    """One row of the manifest as it is shown."""
    return schemas.SnapshotRecord(
        id=values["record"],
        content=values["content"].hex(),
        label=values["label"],
        contributor=values["contributor"],
        split=values["split"],
    )
