"""How the records of a filter are found: chosen by how many each of its conditions leaves.

A database chooses by statistics that it may not have, and then walks a million rows to find none.
This choice is the same on both and bounds how many are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from volano.data import counting
from volano.schemas.data import RecordFilter

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one question looks at, at most."""

    walked: int = 10_000
    """Records for one page: 10 to 40 ms."""
    taken: int = 5_000
    """Records that are few enough to look at all of them for each page."""
    names: int = 100
    """Names of one condition that are looked for one by one."""
    counted: int = 100_000
    """Entries of an index that are counted, and contributors whom a pattern is tried on."""


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Range:
    """The records for which one condition of a filter holds: at most how many, and by what index.

    An index gives those of one name by id, and those of several names or of a span by other things.
    """

    records: int
    conditions: tuple[Condition, ...]
    by_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the records of a filter are found: which of them are looked at, and in which order.

    Either all for which one of `ranges` holds, which are few, are looked at for every page. Or the
    records are `walked`, those of the one range or all: looked at by id, from where the page
    before ended, so many at a time.
    """

    wanted: RecordFilter
    bounds: Bounds
    ranges: tuple[Condition, ...] = ()
    walked: bool = True
    all_fit: bool = False
    """Whether everything that is looked at fits."""
    is_empty: bool = False


def choose(wanted: RecordFilter, found: Sequence[Range], grouped: int, bounds: Bounds) -> Reading:
    """Choose among the ranges of a filter; `grouped` records fit its conditions of GROUPED."""
    given = counting.given(wanted)
    least = min(found, key=lambda one: one.records, default=None)
    if (least and not least.records) or (given & counting.GROUPED and not grouped):
        return Reading(wanted=wanted, bounds=bounds, is_empty=True)
    if least and least.records <= bounds.taken and not least.by_id:
        return Reading(wanted=wanted, bounds=bounds, ranges=least.conditions, walked=False)
    walks = [one for one in found if one.by_id]
    if not walks:
        return Reading(wanted=wanted, bounds=bounds, all_fit=not given)
    ranges = min(walks, key=lambda one: one.records).conditions
    return Reading(wanted=wanted, bounds=bounds, ranges=ranges, all_fit=len(given) == 1)
