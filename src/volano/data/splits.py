"""Who trains, who validates, who tests: groups of records divided by a seeded hash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from volano.data import patterns
from volano.schemas.data import Split, SplitRule

Ranks = NDArray[np.uint64]

_BEYOND = 2**64  # above every rank
_MERGED = 2**18  # ranks that wait to be merged


@dataclass(frozen=True, slots=True)
class Division:
    """The split of every group of records.

    A group is a contributor, or all records of one content. Its place is its rank by a seeded hash,
    so the shares hold exactly (rounded, at least one each if there are two groups) however few
    there are, and it depends on the rule and the groups, not on their order.
    """

    rule: SplitRule
    test_below: int
    valid_below: int

    def splits_of(self, contributors: pa.Array, contents: pa.Array) -> pa.Array:
        """Return the split of each record."""
        ranks, group = _groups(self.rule, contributors, contents)
        return pa.array([self._split(rank) for rank in ranks], pa.string()).take(group)

    def _split(self, rank: int | None) -> Split:
        if rank is None or rank < self.test_below:
            return "test"
        return "valid" if rank < self.valid_below else "train"


class Divider:
    """Finds the division of records that come in parts: it keeps 8 bytes of each group."""

    def __init__(self, rule: SplitRule) -> None:
        self.rule = rule
        self._people, self._groups = _Distinct(), _Distinct()

    @property
    def contributors(self) -> int:
        """How many contributors there are."""
        return len(self._people.ranks())

    def add(self, contributors: pa.Array, contents: pa.Array) -> None:
        """Look at some more records."""
        self._people.add(_rank(0, name.encode()) for name in contributors.unique().to_pylist())
        ranks, _ = _groups(self.rule, contributors, contents)
        self._groups.add(rank for rank in ranks if rank is not None)

    def division(self) -> Division:
        """Divide the groups that were looked at."""
        ranks = self._groups.ranks()
        test = 0 if self.rule.test_contributors else _share(self.rule.test, len(ranks))
        valid = test + _share(self.rule.valid, len(ranks) - test)
        return Division(self.rule, _lowest(ranks[test:]), _lowest(ranks[valid:]))


@dataclass(slots=True)
class _Distinct:
    """A growing set of ranks."""

    _sorted: Ranks = field(default_factory=lambda: np.empty(0, np.uint64))
    _waiting: list[int] = field(default_factory=list)

    def add(self, ranks: Iterable[int]) -> None:
        self._waiting += ranks
        if len(self._waiting) >= _MERGED:
            self.ranks()

    def ranks(self) -> Ranks:
        """Return all of them, sorted, each once."""
        if self._waiting:
            both = np.concatenate([self._sorted, np.array(self._waiting, np.uint64)])
            self._sorted, self._waiting = np.unique(both), []
        return self._sorted


def _groups(
    rule: SplitRule, contributors: pa.Array, contents: pa.Array
) -> tuple[list[int | None], pa.Array]:
    """Return the ranks of the groups, and which of them each record belongs to.

    The rank of those whose contributor is named to test is None.
    """
    people = contributors.dictionary_encode()
    names = people.dictionary.to_pylist()
    tests = [patterns.matches(name, rule.test_contributors) for name in names]
    if rule.by == "contributor":
        ranks = [
            None if test else _rank(rule.seed, name.encode())
            for name, test in zip(names, tests, strict=True)
        ]
        return ranks, people.indices
    ranks = [
        None if tests[person] else _rank(rule.seed, content)
        for person, content in zip(people.indices.to_pylist(), contents.to_pylist(), strict=True)
    ]
    return ranks, pa.array(np.arange(len(ranks), dtype=np.int32))


def _rank(seed: int, group: bytes) -> int:
    return int.from_bytes(blake3(b"%d\0%b" % (seed, group)).digest(8))


def _share(fraction: float, count: int) -> int:
    return max(1, round(fraction * count)) if fraction and count > 1 else 0


def _lowest(ranks: Ranks) -> int:
    return int(ranks[0]) if len(ranks) else _BEYOND
