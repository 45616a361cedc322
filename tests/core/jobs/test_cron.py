"""Cron lines: when they fire, against walking every minute."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.core.jobs.cron import Cron, next_after, parse
from volano.schemas.jobs import BadCron

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("* * * * *", datetime(2026, 3, 4, 5, 7, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 3, 4, 5, 15, tzinfo=UTC)),
        ("0 */6 * * *", datetime(2026, 3, 4, 6, 0, tzinfo=UTC)),
        ("30 4 * * *", datetime(2026, 3, 5, 4, 30, tzinfo=UTC)),
        ("0 0 1 * *", datetime(2026, 4, 1, 0, 0, tzinfo=UTC)),
        ("0 9 * * 1-5", datetime(2026, 3, 4, 9, 0, tzinfo=UTC)),
        ("0 9 * * 0", datetime(2026, 3, 8, 9, 0, tzinfo=UTC)),
        ("0 9 * * 7", datetime(2026, 3, 8, 9, 0, tzinfo=UTC)),
        ("0 0 13 * 5", datetime(2026, 3, 6, 0, 0, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        ("5,10/20 * * * *", datetime(2026, 3, 4, 5, 10, tzinfo=UTC)),
    ],
)
def test_a_line_fires_next_at(line: str, then: datetime) -> None:
    assert next_after(parse(line), NOW) == then


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "5-1 * * * *", "*/0 * * * *", "1- * * * *", "² * * * *", "* * * * * *"],
)  # fmt: skip
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(BadCron):
        parse(line)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(BadCron):
        next_after(parse("0 0 31 2 *"), NOW)


minutes = st.sampled_from(["*", "0", "*/7", "3,40", "10-20", "59"])
hours = st.sampled_from(["*", "0", "*/5", "23", "8-10"])
weekdays = st.sampled_from(["*", "0", "1-5", "6"])
times = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside it


@given(minutes, hours, weekdays, times)
def test_no_time_between_is_missed(minute: str, hour: str, weekday: str, now: datetime) -> None:
    cron = parse(f"{minute} {hour} * * {weekday}")
    then = next_after(cron, now)
    assert then > now
    assert _fires(cron, then)
    between = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    # Steps of seven minutes find a missed day or hour, single minutes a missed minute.
    while between < then:
        assert not _fires(cron, between)
        is_near = then - between < timedelta(hours=2)
        between += timedelta(minutes=1 if is_near else 7)


def _fires(cron: Cron, at: datetime) -> bool:
    return cron.fires_on(at) and at.hour in cron.hours and at.minute in cron.minutes
