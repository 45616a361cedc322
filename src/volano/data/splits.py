"""Who trains, who validates, who tests: groups of records divided by a seeded hash.

A group is what must not be divided: the records of one contributor, of one content, or of what was
named a group as they came. Records that came with a split keep it where the rule says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3
from numpy.typing import NDArray

from volano.data import patterns
from volano.schemas.data import SPLITS, Split, SplitRule

Ranks = NDArray[np.uint64]
Codes = NDArray[np.int8]
"""Of a split: its number in SPLITS."""

GIVEN: Final[dict[str, Split]] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""What folders and columns call the splits."""

_TRAIN, _VALID, _TEST = range(len(SPLITS))
_OPEN = -1  # in place of a split: the group's says it
_WAIT = 2**18  # ranks that wait to be merged
_CONTENTS = ("content", "record", "given")  # rules whose groups are contents


@dataclass(frozen=True, slots=True)
class Division:
    """The split of every group of records.

    A group's place is its rank by a seeded hash, so the shares hold exactly (rounded, at least one
    each if there are two groups) however few there are, and it depends on the rule and the groups,
    not on their order. Stratified, the shares hold so for each label.
    """

    rule: SplitRule
    ranks: Ranks
    """Of the groups, sorted."""
    codes: Codes
    """The split of each."""
    shared: Ranks
    """The contents that came with several splits, sorted."""

    def splits_of(self, lines: pa.RecordBatch) -> pa.Array:
        """Return the split of each record."""
        codes = _settled(self.rule, lines)
        if (is_open := codes == _OPEN).any():
            ranks = _group_ranks(self.rule, lines)[is_open]
            codes[is_open] = self.codes[np.searchsorted(self.ranks, ranks)]
        return pa.array(SPLITS, pa.string()).take(pa.array(codes))

    def shared_in(self, lines: pa.RecordBatch) -> list[tuple[bytes, str]]:
        """Return content and id of the records whose content came with several splits."""
        if not len(self.shared):
            return []
        among = np.isin(_group_ranks(self.rule, lines), self.shared)
        found = lines.filter(pa.array(among))
        return list(zip(found["content"].to_pylist(), found["record"].to_pylist(), strict=True))


class Divider:
    """Finds the division of records that come in parts.

    It keeps 8 bytes of each group, and 12 where labels count.
    """

    def __init__(self, rule: SplitRule) -> None:
        self.rule = rule
        self._people, self._groups = _Distinct(), _Distinct()
        self._fixed = [_Distinct() for _ in SPLITS]

    @property
    def contributors(self) -> int:
        """How many contributors there are."""
        return len(self._people.ranks())

    def add(self, lines: pa.RecordBatch) -> None:
        """Look at some more records."""
        names = lines["contributor"].unique().to_pylist()
        self._people.add(_ranks_of([name.encode() for name in names], 0))
        if self.rule.by == "none":
            return
        ranks, settled = _group_ranks(self.rule, lines), _settled(self.rule, lines)
        is_open = settled == _OPEN
        strata = _strata(lines["label"])[is_open] if self.rule.stratified else None
        self._groups.add(ranks[is_open], strata)
        if self.rule.by in ("contributor", "record"):
            return
        for code, found in enumerate(self._fixed):
            found.add(ranks[settled == code])

    def division(self) -> Division:
        """Divide the groups that were looked at."""
        ranks, strata = self._groups.ranks(), self._groups.strata()
        codes = np.full(len(ranks), _OPEN, np.int8)
        fixed = [found.ranks() for found in self._fixed]
        for code, settled in enumerate(fixed):  # what tests anywhere tests, then what validates
            codes[np.isin(ranks, settled)] = code
        free = np.flatnonzero(codes == _OPEN)
        if strata is None:
            self._divide(free, codes)
        else:
            for stratum in np.unique(strata[free]):
                self._divide(free[strata[free] == stratum], codes)
        return Division(self.rule, ranks, codes, _in_several(fixed))

    def _divide(self, free: NDArray[np.intp], codes: Codes) -> None:
        """Set the splits of groups, which are in the order of their ranks, by the shares."""
        tests_are_known = self.rule.test_contributors or self._came_with(_TEST)
        test = 0 if tests_are_known else _share(self.rule.test, len(free))
        valid = 0 if self._came_with(_VALID) else _share(self.rule.valid, len(free) - test)
        codes[free[:test]] = _TEST
        codes[free[test : test + valid]] = _VALID
        codes[free[test + valid :]] = _TRAIN

    def _came_with(self, code: int) -> bool:
        return self.rule.by == "given" and len(self._fixed[code].ranks()) > 0


@dataclass(slots=True)
class _Distinct:
    """A growing set of ranks, each with the least of the strata that came with it."""

    _sorted: Ranks = field(default_factory=lambda: np.empty(0, np.uint64))
    _strata: NDArray[np.uint32] | None = None
    _waiting: list[tuple[Ranks, NDArray[np.uint32] | None]] = field(default_factory=list)
    _count: int = 0

    def add(self, ranks: Ranks, strata: NDArray[np.uint32] | None = None) -> None:
        self._waiting.append((ranks, strata))
        self._count += len(ranks)
        if self._count >= _WAIT:
            self._merge()

    def ranks(self) -> Ranks:
        """Return all of them, sorted, each once."""
        self._merge()
        return self._sorted

    def strata(self) -> NDArray[np.uint32] | None:
        """Return the stratum of each, if they came with strata."""
        self._merge()
        return self._strata

    def _merge(self) -> None:
        if not self._waiting:
            return
        ranks = np.concatenate([self._sorted, *(some for some, _ in self._waiting)])
        strata = [some for _, some in self._waiting if some is not None]
        self._waiting, self._count = [], 0
        if not strata:
            self._sorted = np.unique(ranks)
            return
        whole = np.concatenate([*([] if self._strata is None else [self._strata]), *strata])
        order = np.lexsort((whole, ranks))
        ranks, whole = ranks[order], whole[order]
        first = np.concatenate([[True], ranks[1:] != ranks[:-1]])[: len(ranks)]
        self._sorted, self._strata = ranks[first], whole[first]


def _settled(rule: SplitRule, lines: pa.RecordBatch) -> Codes:
    """Return the split of each record that has one whatever the others are; else _OPEN."""
    codes = np.full(lines.num_rows, _TRAIN if rule.by == "none" else _OPEN, np.int8)
    if rule.test_contributors:
        people = lines["contributor"].dictionary_encode()
        tests = [
            patterns.matches(one, rule.test_contributors) for one in people.dictionary.to_pylist()
        ]
        codes[np.array(tests, bool)[people.indices.to_numpy()]] = _TEST
    if rule.by == "given":
        given = lines["given"].dictionary_encode()
        known = [GIVEN.get(name) for name in given.dictionary.to_pylist()]
        said = np.array([_OPEN if name is None else SPLITS.index(name) for name in known], np.int8)
        told = said[given.indices.to_numpy()]
        codes = np.where(told == _OPEN, codes, told)
    return codes


def _group_ranks(rule: SplitRule, lines: pa.RecordBatch) -> Ranks:
    """Return the rank of the group of each record; what is named no group is one by its content."""
    if rule.by in _CONTENTS:
        return _ranks_of(lines["content"].to_pylist(), rule.seed)
    column = "contributor" if rule.by == "contributor" else "group"
    found = lines[column].dictionary_encode()
    names = [name.encode() for name in found.dictionary.to_pylist()]
    ranks: Ranks = _ranks_of(names, rule.seed)[found.indices.to_numpy()]
    if rule.by == "group":
        alone = pc.equal(lines["group"], "")
        contents = lines["content"].filter(alone).to_pylist()
        ranks[alone.to_numpy(zero_copy_only=False)] = _ranks_of(contents, rule.seed)
    return ranks


def _ranks_of(groups: list[bytes], seed: int) -> Ranks:
    ranks = (int.from_bytes(blake3(b"%d\0%b" % (seed, group)).digest(8)) for group in groups)
    return np.fromiter(ranks, np.uint64, len(groups))


def _strata(labels: pa.Array) -> NDArray[np.uint32]:
    """Return a number for the label of each record, which depends on nothing else."""
    found = labels.dictionary_encode()
    ranks = _ranks_of([label.encode() for label in found.dictionary.to_pylist()], 0)
    of_labels = (ranks >> np.uint64(32)).astype(np.uint32)
    strata: NDArray[np.uint32] = of_labels[found.indices.to_numpy()]
    return strata


def _in_several(sets: list[Ranks]) -> Ranks:
    """Return what is in more than one of these sets, sorted."""
    found, times = np.unique(np.concatenate(sets), return_counts=True)
    return found[times > 1]


def _share(fraction: float, count: int) -> int:
    return max(1, round(fraction * count)) if fraction and count > 1 else 0
