"""When a schedule fires: five cron fields, in UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from volano.schemas.jobs import BadCron

_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 7),
)
_HORIZON_YEARS = 8  # a 29 February is at most eight years away


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes, hours, … at which a schedule fires."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Day and weekday are both restricted: then either is enough, as cron has always had it."""

    def fires_on(self, at: datetime) -> bool:
        """Return whether the schedule fires on this day."""
        day = at.day in self.days
        weekday = at.isoweekday() % 7 in self.weekdays
        is_day = (day or weekday) if self.either_day else (day and weekday)
        return at.month in self.months and is_day


def parse(text: str) -> Cron:
    """Read a schedule `minute hour day month weekday`: `*`, numbers, `a-b`, `/step`, commas.

    Raises: BadCron.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise BadCron(text=text, reason=f"{len(fields)} fields instead of 5")
    values = [_field(text, f, *bounds) for f, bounds in zip(fields, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in values[4])
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))
    return Cron(values[0], values[1], values[2], values[3], weekdays, either)


def next_after(cron: Cron, now: datetime) -> datetime:
    """Return the first time after `now` (aware, UTC) at which it fires. Raises: BadCron (never)."""
    at = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while at.year <= now.year + _HORIZON_YEARS:
        if not cron.fires_on(at):
            at = _next_day(at)
        elif at.hour not in cron.hours:
            at = at.replace(minute=0) + timedelta(hours=1)
        elif at.minute not in cron.minutes:
            at += timedelta(minutes=1)
        else:
            return at
    raise BadCron(text=str(cron), reason="it never fires")


def _next_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0) + timedelta(days=1)


def _field(text: str, field: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
        numbers = (first, last if dash else first, step if slash else "1")
        if not all(number.isascii() and number.isdigit() for number in numbers):
            raise BadCron(text=text, reason=f"{part!r} is no {name}")
        start, end, stride = map(int, numbers)
        end = high if slash and not dash else end
        if not low <= start <= end <= high or stride < 1:
            raise BadCron(text=text, reason=f"{part!r} is outside {low} to {high}")
        found.update(range(start, end + 1, stride))
    return frozenset(found)
