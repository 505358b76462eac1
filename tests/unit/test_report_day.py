from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.report_day import ReportDay, due
from chalicelib.domain.timezone import resolve_timezone

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Moscow",
    "Europe/Berlin",
    "America/Havana",  # the clock is changed at midnight
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Kiritimati",
    "-12:00",
    "+05:45",
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("zone", "day", "begins_at", "hours"),
    [
        ("Europe/Moscow", date(2026, 11, 22), utc(2026, 11, 21, 21), 24),
        ("Europe/Berlin", date(2026, 3, 29), utc(2026, 3, 28, 23), 23),
        ("Europe/Berlin", date(2026, 10, 25), utc(2026, 10, 24, 22), 25),
        ("America/Havana", date(2026, 3, 8), utc(2026, 3, 8, 5), 23),  # it begins at 01:00
        ("America/Havana", date(2026, 11, 1), utc(2026, 11, 1, 4), 25),  # its midnight comes twice
        ("America/Sao_Paulo", date(2018, 2, 17), utc(2018, 2, 17, 2), 25),  # its last hour comes twice
        ("Pacific/Apia", date(2011, 12, 30), utc(2011, 12, 30, 10), 0),  # there was none
        ("+05:45", date(2026, 11, 22), utc(2026, 11, 21, 18, 15), 24),
    ],
)
def test_day_begins_and_ends_where_the_calendar_says(zone: str, day: date, begins_at: datetime, hours: int) -> None:
    found = ReportDay.of(day, resolve_timezone(zone))
    assert (found.begins_at, found.ends_at - found.begins_at) == (begins_at, hours * HOUR)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis wants so
)
def test_each_moment_is_in_its_day_and_days_follow_each_other(zone: str, moment: datetime) -> None:
    day = ReportDay.at(moment, resolve_timezone(zone))
    assert day.has(moment)
    assert not day.before.has(moment)
    assert day.before.ends_at == day.begins_at
    assert day.before.local_date == day.local_date - timedelta(days=1)


def test_day_before_one_that_a_zone_leaves_out_is_the_last_that_there_was() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert ReportDay.of(date(2011, 12, 31), apia).before.local_date == date(2011, 12, 29)


def test_no_day_has_what_has_not_happened() -> None:
    assert not ReportDay.of(date(2026, 11, 22), UTC).has(None)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (utc(2026, 11, 23, 4, 59), None),
        (utc(2026, 11, 23, 5), date(2026, 11, 22)),
        (utc(2026, 11, 23, 20, 59), date(2026, 11, 22)),  # late is better than never
        (utc(2026, 11, 23, 21), None),  # midnight in Moscow
        (utc(2026, 11, 24, 5), date(2026, 11, 23)),
    ],
)
def test_yesterday_is_due_from_the_hour_until_midnight(now: datetime, expected: date | None) -> None:
    day = due(now, ZoneInfo("Europe/Moscow"), 8)
    assert (day and day.local_date) == expected


@pytest.mark.parametrize("hour", [0, 2, 23])
@pytest.mark.parametrize("zone", ZONES)
def test_each_day_of_years_is_due_in_some_quarter_of_an_hour(zone: str, hour: int) -> None:
    at, end, seen = utc(2026, 1, 1), utc(2027, 1, 3), set[date]()
    while at < end:
        day = due(at, resolve_timezone(zone), hour)
        if day:
            assert day.ends_at <= at, "a day is told of when it has ended"
            seen.add(day.local_date)
        at += 15 * MINUTE
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert seen >= set(days)


def test_hour_that_the_clock_skips_is_the_next_one() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert due(utc(2026, 3, 29, 0, 59), berlin, 2) is None
    day = due(utc(2026, 3, 29, 1), berlin, 2)
    assert day is not None
    assert day.local_date == date(2026, 3, 28)
