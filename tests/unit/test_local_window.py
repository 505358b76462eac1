import zoneinfo
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.local_window import LocalWindow, is_open, next_opening

MINUTE = timedelta(minutes=1)
MINUTES_A_DAY = 24 * 60
JUST_BEFORE = timedelta(microseconds=1)
IANA_NAMES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})

MOSCOW = "Europe/Moscow"  # +03:00, no changes
BERLIN = "Europe/Berlin"  # 2026-03-29 02:00 -> 03:00 at 01:00Z; 2026-10-25 03:00 -> 02:00 at 01:00Z
DUBLIN = "Europe/Dublin"  # the same instants, an hour to the west; its winter time counts as the saving one
LORD_HOWE = "Australia/Lord_Howe"  # 2026-10-04 02:00 -> 02:30 at 15:30Z; 2026-04-05 02:00 -> 01:30 at 15:00Z
SANTIAGO = "America/Santiago"  # 2026-09-06 00:00 -> 01:00 at 04:00Z; 2026-04-05 00:00 -> 04-04 23:00 at 03:00Z
APIA = "Pacific/Apia"  # 2011-12-30 skipped, at 10:00Z
MONROVIA = "Africa/Monrovia"  # -00:44:30 until 1972-01-07 00:00 -> 00:44:30


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(text: str) -> LocalWindow:
    return LocalWindow.parse(*text.split("-"))


# --- Reading a window


def test_a_window_is_read_from_two_times_of_day() -> None:
    assert LocalWindow.parse("09:00", "21:30") == LocalWindow(time(9), time(21, 30))
    assert LocalWindow.parse("23:59", "00:00") == LocalWindow(time(23, 59), time(0))


@pytest.mark.parametrize(
    "text",
    [
        *("", "9:00", "09:0", "0900", "09-00", "09:00:00", "09", "24:00", "23:60", "29:00", "-1:00", "+9:00"),
        *("09:00\n", " 09:00", "09:00 ", "09:00Z", "T09:00", "0\u0669:00", "ab:cd"),
    ],
)
def test_a_time_of_day_is_two_digits_colon_two_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of day") as raised:
        LocalWindow.parse(text, "21:00")
    assert repr(text) in str(raised.value)
    with pytest.raises(ValueError, match="is not a time of day"):
        LocalWindow.parse("08:00", text)


def test_a_window_that_closes_as_it_opens_is_refused() -> None:
    with pytest.raises(ValueError, match="open and close at the same time"):
        LocalWindow.parse("09:00", "09:00")
    with pytest.raises(ValueError, match="open and close at the same time"):
        LocalWindow(time(9), time(9))


def test_a_window_does_not_change() -> None:
    day = window("09:00-21:00")
    with pytest.raises(FrozenInstanceError):
        day.opens_at = time(8)  # type: ignore[misc]


def test_a_naive_time_is_refused() -> None:
    naive = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="aware"):
        is_open(window("09:00-21:00"), UTC, naive)
    with pytest.raises(ValueError, match="aware"):
        next_opening(window("09:00-21:00"), UTC, naive)


# --- Examples


@pytest.mark.parametrize(
    ("hours", "local", "expected"),
    [
        ("09:00-21:00", "08:59:59.999999", False),
        ("09:00-21:00", "09:00", True),
        ("09:00-21:00", "20:59:59.999999", True),
        ("09:00-21:00", "21:00", False),
        ("21:00-09:00", "20:59:59.999999", False),
        ("21:00-09:00", "21:00", True),
        ("21:00-09:00", "00:00", True),
        ("21:00-09:00", "08:59:59.999999", True),
        ("21:00-09:00", "09:00", False),
        ("21:00-00:00", "23:59:59.999999", True),
        ("21:00-00:00", "00:00", False),
        ("00:00-09:00", "23:59:59.999999", False),
        ("00:00-09:00", "00:00", True),
        ("12:00-11:59", "11:58:59.999999", True),
        ("12:00-11:59", "11:59", False),
        ("12:00-12:01", "12:00:59.999999", True),
    ],
)
def test_a_window_is_open_from_its_first_time_until_before_its_last(hours: str, local: str, *, expected: bool) -> None:
    now = datetime.fromisoformat(f"2026-07-01T{local}").replace(tzinfo=ZoneInfo(MOSCOW))
    assert is_open(window(hours), ZoneInfo(MOSCOW), now) is expected
    assert is_open(window(hours), ZoneInfo(MOSCOW), now.astimezone(UTC)) is expected


@pytest.mark.parametrize(
    ("zone", "hours", "now", "expected"),
    [
        pytest.param(MOSCOW, "09:00-21:00", "2026-07-01T09:00:00.123", "2026-07-01T09:00:00.123", id="open: now"),
        pytest.param(MOSCOW, "09:00-21:00", "2026-07-01T05:59:59.999999", "2026-07-01T06:00", id="today"),
        pytest.param(MOSCOW, "09:00-21:00", "2026-07-01T18:00", "2026-07-02T06:00", id="tomorrow"),
        pytest.param(MOSCOW, "21:00-09:00", "2026-07-01T06:00", "2026-07-01T18:00", id="over midnight: tonight"),
        pytest.param(MOSCOW, "21:00-00:00", "2026-07-01T21:00", "2026-07-02T18:00", id="until midnight: tomorrow"),
        # 02:00-03:00 is skipped on 2026-03-29
        pytest.param(BERLIN, "02:30-05:00", "2026-03-29T00:30", "2026-03-29T01:00", id="gap: first instant after"),
        pytest.param(BERLIN, "02:00-05:00", "2026-03-29T00:30", "2026-03-29T01:00", id="gap: opens as it begins"),
        pytest.param(BERLIN, "03:00-05:00", "2026-03-29T00:30", "2026-03-29T01:00", id="gap: opens as it ends"),
        pytest.param(BERLIN, "03:01-05:00", "2026-03-29T00:30", "2026-03-29T01:01", id="gap: opens after"),
        pytest.param(BERLIN, "02:10-02:40", "2026-03-29T00:30", "2026-03-30T00:10", id="gap: swallows the window"),
        pytest.param(BERLIN, "02:00-03:00", "2026-03-29T00:30", "2026-03-30T00:00", id="gap: just the window"),
        pytest.param(BERLIN, "09:00-21:00", "2026-03-28T20:00", "2026-03-29T07:00", id="gap: a shorter night"),
        # 02:00-03:00 is shown twice on 2026-10-25
        pytest.param(BERLIN, "02:30-05:00", "2026-10-25T00:00", "2026-10-25T00:30", id="fold: the first"),
        pytest.param(BERLIN, "02:30-05:00", "2026-10-25T01:00", "2026-10-25T01:30", id="fold: closed once more"),
        pytest.param(BERLIN, "02:10-02:40", "2026-10-25T00:40", "2026-10-25T01:10", id="fold: a second time"),
        pytest.param(BERLIN, "01:00-02:30", "2026-10-25T00:30", "2026-10-25T01:00", id="fold: set back into it"),
        pytest.param(BERLIN, "03:00-05:00", "2026-10-25T00:30", "2026-10-25T02:00", id="fold: opens as it ends"),
        pytest.param(BERLIN, "09:00-21:00", "2026-10-24T19:00", "2026-10-25T08:00", id="fold: a longer night"),
        pytest.param(DUBLIN, "01:30-05:00", "2026-03-29T00:30", "2026-03-29T01:00", id="negative saving: gap"),
        pytest.param(DUBLIN, "01:30-05:00", "2026-10-25T00:00", "2026-10-25T00:30", id="negative saving: fold"),
        pytest.param(LORD_HOWE, "02:15-05:00", "2026-10-03T15:00", "2026-10-03T15:30", id="half an hour: gap"),
        pytest.param(LORD_HOWE, "02:15-02:30", "2026-10-03T15:00", "2026-10-04T15:15", id="half an hour: swallows"),
        pytest.param(LORD_HOWE, "01:45-05:00", "2026-04-04T15:00", "2026-04-04T15:15", id="half an hour: fold"),
        pytest.param(SANTIAGO, "00:00-06:00", "2026-09-06T03:30", "2026-09-06T04:00", id="no midnight"),
        pytest.param(SANTIAGO, "23:30-00:00", "2026-04-05T03:00", "2026-04-05T03:30", id="midnight undone"),
        pytest.param(APIA, "09:00-21:00", "2011-12-30T07:00", "2011-12-30T19:00", id="a day skipped"),
        pytest.param(APIA, "10:00-11:00", "2011-12-29T21:30", "2011-12-30T20:00", id="a day skipped: a lost window"),
        pytest.param("Pacific/Kwajalein", "09:00-10:00", "1993-08-20T22:30", "1993-08-21T21:00", id="Kwajalein"),
        pytest.param(MONROVIA, "09:00-21:00", "1971-07-01T00:00", "1971-07-01T09:44:30", id="an offset in seconds"),
        pytest.param(MONROVIA, "00:30-06:00", "1972-01-07T00:00", "1972-01-07T00:44:30", id="a change in seconds"),
    ],
)
def test_the_next_opening_is_the_first_open_instant(zone: str, hours: str, now: str, expected: str) -> None:
    opening = next_opening(window(hours), ZoneInfo(zone), utc(now))
    assert opening == utc(expected)
    assert opening.tzinfo is UTC


def test_a_time_in_the_zone_itself_is_the_same_instant() -> None:
    berlin = ZoneInfo(BERLIN)
    before_the_gap = datetime(2026, 3, 28, 22, tzinfo=berlin)
    opening = next_opening(window("09:00-21:00"), berlin, before_the_gap)
    assert opening == utc("2026-03-29T07:00")
    assert opening.tzinfo is UTC


def test_a_time_that_no_clock_shows_is_the_instant_it_stands_for() -> None:
    berlin = ZoneInfo(BERLIN)
    in_the_gap = datetime(2026, 3, 29, 2, 30, tzinfo=berlin)  # 01:30Z, when the clock shows 03:30
    assert not is_open(window("02:00-03:00"), berlin, in_the_gap)
    assert is_open(window("03:00-04:00"), berlin, in_the_gap)


def test_a_window_shown_twice_is_open_twice() -> None:
    states = [
        is_open(window("02:10-02:40"), ZoneInfo(BERLIN), utc("2026-10-25T00:00") + minutes * MINUTE)
        for minutes in (9, 10, 39, 40, 69, 70, 99, 100)
    ]
    assert states == [False, True, True, False, False, True, True, False]


def test_a_fixed_offset_opens_at_the_same_hour_every_day() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    assert next_opening(window("09:00-21:00"), zone, utc("2026-03-29T15:15")) == utc("2026-03-30T03:15")


# --- Rules, for all zones and windows

FROM, TO = utc("2024-01-01"), utc("2031-01-01")
TWO_WEEKS = timedelta(weeks=2)  # the shortest time between two changes, Morocco's Ramadan, is longer
ANY_MINUTE = st.integers(0, MINUTES_A_DAY - 1)


@cache
def changes(zone: tzinfo) -> tuple[datetime, ...]:
    """Find the instants from 2024 to 2030 at which a zone's offset changes; always a whole minute then."""

    def offset(instant: datetime) -> timedelta | None:
        return instant.astimezone(zone).utcoffset()

    def change(start: datetime) -> datetime:
        minutes = range(TWO_WEEKS // MINUTE)
        passed = bisect_left(minutes, 1, key=lambda n: offset(start + n * MINUTE) != offset(start))
        return start + passed * MINUTE

    starts = [FROM + n * TWO_WEEKS for n in range((TO - FROM) // TWO_WEEKS)]
    return tuple(change(start) for start in starts if offset(start) != offset(start + TWO_WEEKS))


@cache
def changing_zones() -> list[tzinfo]:
    """Return one zone of each group that changes its offset at the same instants by the same time."""
    groups = {}
    for zone in map(ZoneInfo, IANA_NAMES):
        rule = tuple((instant, instant.astimezone(zone).utcoffset()) for instant in changes(zone))
        if rule:
            groups[rule] = zone
    return list(groups.values())


def zones() -> st.SearchStrategy[tzinfo]:
    fixed = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(minutes * MINUTE))
    return st.deferred(lambda: st.sampled_from(changing_zones())) | st.sampled_from(IANA_NAMES).map(ZoneInfo) | fixed


def windows(opens_at: st.SearchStrategy[int]) -> st.SearchStrategy[LocalWindow]:
    """Draw windows of any length, given the minute of the day at which they open."""

    def build(opens_at: int, minutes_long: int) -> LocalWindow:
        clock = [f"{minute // 60 % 24:02}:{minute % 60:02}" for minute in (opens_at, opens_at + minutes_long)]
        return LocalWindow.parse(*clock)

    return st.builds(build, opens_at, st.integers(1, 120) | st.integers(1, MINUTES_A_DAY - 1))


Case = tuple[LocalWindow, tzinfo, datetime]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a window, a zone and an instant from 2024 to 2030; mostly where the zone's clock is changed."""
    zone = draw(zones())
    mostly = draw(st.integers(0, 3)) > 0
    if mostly and changes(zone):
        change = draw(st.sampled_from(changes(zone)))
        clock = change.astimezone(zone)
        around = st.integers(-180, 180).map(lambda minutes: (clock.hour * 60 + minutes) % MINUTES_A_DAY)
        close = st.timedeltas(timedelta(hours=-3), timedelta(hours=3))
        distance = draw(close | st.timedeltas(timedelta(days=-2), timedelta(days=1)))
        return draw(windows(around)), zone, change + distance
    return draw(windows(ANY_MINUTE)), zone, draw(instants(FROM, TO))


def instants(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    return st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC))


def shown_within(window: LocalWindow, zone: tzinfo, instant: datetime) -> bool:
    """Look the minute up in the window's; zones have offsets of whole minutes from 2024 to 2030."""
    first, last = (at.hour * 60 + at.minute for at in (window.opens_at, window.closes_at))
    spans = [range(first, last)] if first < last else [range(first, MINUTES_A_DAY), range(last)]
    clock = instant.astimezone(zone)
    return any(clock.hour * 60 + clock.minute in span for span in spans)


def minute_by_minute(now: datetime) -> Iterator[datetime]:
    yield now
    whole = now.replace(second=0, microsecond=0)
    yield from (whole + n * MINUTE for n in range(1, 4 * MINUTES_A_DAY))


SLOW = settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(cases())
def test_it_is_open_while_the_clock_shows_a_minute_of_the_window(case: Case) -> None:
    assert is_open(*case) is shown_within(*case)


@SLOW
@given(cases())
def test_the_next_opening_is_what_a_walk_by_the_minute_finds(case: Case) -> None:
    window, zone, now = case
    walked = next(instant for instant in minute_by_minute(now) if shown_within(window, zone, instant))
    assert next_opening(window, zone, now) == walked


@SLOW
@given(windows(ANY_MINUTE), zones(), instants(utc("1850-01-01"), utc("2100-01-01")))
def test_the_next_opening_is_open_and_nothing_before_it_is(window: LocalWindow, zone: tzinfo, now: datetime) -> None:
    opening = next_opening(window, zone, now)
    assert opening >= now
    assert is_open(window, zone, opening)
    assert next_opening(window, zone, opening) == opening
    if opening > now:
        earlier = [now + (opening - now) * n / 50 for n in range(50)]
        assert not any(is_open(window, zone, instant) for instant in [*earlier, opening - JUST_BEFORE])
