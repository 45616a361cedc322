"""How records are counted: which conditions a filter has, and what changes when records come."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from volano.schemas.data import RecordFilter

GROUPED = frozenset(
    {"datasets", "kinds", "labels", "splits", "synthetic", "origins", "without_flags"}
)
"""The conditions by which records are counted together."""

GROUP = ("label", "dataset", "kind", "split", "synthetic", "origin", "flags")
"""What such records have in common, as the columns of their counters."""

QUALITY_BUCKETS = 1000.0
MINUTE_MS = 60_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Changes(NamedTuple):
    """How many records there are more: the last value of a row, behind what they have in common."""

    groups: list[tuple[Any, ...]]
    """By the columns of GROUP."""
    datasets: list[tuple[str, int]]
    contributors: list[tuple[str, int]]
    buckets: list[tuple[str, int, int]]
    """By thousandth of quality, by minute of receipt."""


def changes(rows: Sequence[Mapping[str, Any]]) -> Changes:
    """Return what some rows of the index add to the counters, in a fixed order."""
    groups = Counter(map(itemgetter(*GROUP), rows))
    datasets = Counter(row["dataset"] for row in rows)
    people = Counter(row["contributor"] for row in rows)
    buckets = Counter(("received", minute(ms_until(row["received_at"]))) for row in rows)
    scored = (row["quality"] for row in rows if row["quality"] is not None)
    buckets.update(("quality", bucket(quality)) for quality in scored)
    return Changes(
        [(*key, count) for key, count in sorted(groups.items())],
        sorted(datasets.items()),
        sorted(people.items()),
        [(*key, count) for key, count in sorted(buckets.items())],
    )


def difference(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Changes:
    """Return what the counters change by where some rows of the index become others."""
    less, more = changes(before), changes(after)
    return Changes(
        _minus(more.groups, less.groups),
        _minus(more.datasets, less.datasets),
        _minus(more.contributors, less.contributors),
        _minus(more.buckets, less.buckets),
    )


def _minus(new: Sequence[tuple[Any, ...]], old: Sequence[tuple[Any, ...]]) -> list[Any]:
    total = Counter({row[:-1]: row[-1] for row in new})
    total.subtract({row[:-1]: row[-1] for row in old})
    return [(*key, count) for key, count in sorted(total.items()) if count]


def given(wanted: RecordFilter) -> frozenset[str]:
    """Return the names of the conditions that a filter has."""
    values = msgspec.structs.asdict(wanted).items()
    return frozenset(name for name, value in values if value is not None and value != [])


def bucket(quality: float) -> int:
    """Return the thousandth in which a quality is counted; SQL multiplies to the same number."""
    return int(quality * QUALITY_BUCKETS)


def minute(ms: int) -> int:
    """Return the minute in which a receipt is counted."""
    return ms // MINUTE_MS


def ms_until(moment: datetime) -> int:
    """Return the first whole millisecond that is not before a moment."""
    return -((_EPOCH - moment) // timedelta(milliseconds=1))
