import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.local_window import LocalWindow, is_open
from chalicelib.domain.reach import Reach, most_served, reach
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone
from tests.builders import NOW

HOUR = timedelta(hours=1)
DAY = LocalWindow.parse("09:00", "21:00")
NIGHT = LocalWindow.parse("22:00", "06:00")
MOSCOW, TOKYO, HONOLULU, MARS = "Europe/Moscow", "Asia/Tokyo", "Pacific/Honolulu", "Mars/Olympus"


def reached(
    clients: dict[str, int],
    window: LocalWindow | None = None,
    *,
    hours: float = 10,
    per_second: float | None = None,
    begin: datetime = NOW,
) -> Reach:
    return reach(clients, window, begin, begin + hours * HOUR, per_second)


def test_without_a_window_everybody_is_reached_at_once() -> None:
    assert reached({MOSCOW: 3, MARS: 2}) == Reach({MOSCOW: NOW, MARS: NOW}, 5, 0, 0, 0, 0)


def test_with_a_window_those_are_reached_for_whom_it_opens() -> None:
    told = reached({MOSCOW: 3, TOKYO: 2, HONOLULU: 4, MARS: 1}, DAY)
    # 06:00 UTC is 09:00 in Moscow, 15:00 in Tokyo, and 20:00 in Honolulu.
    assert told == Reach({MOSCOW: NOW, TOKYO: NOW, HONOLULU: NOW, MARS: None}, 9, 0, 0, 1, 0)
    later = reached({MOSCOW: 3, TOKYO: 2, HONOLULU: 4}, DAY, hours=5, begin=NOW + 7 * HOUR)
    assert later.opens_at == {MOSCOW: NOW + 7 * HOUR, TOKYO: None, HONOLULU: None}
    assert (later.reachable, later.window) == (3, 6)


def test_a_window_that_opens_at_the_end_is_too_late() -> None:
    assert reached({MOSCOW: 3}, NIGHT, hours=13).window == 3
    assert reached({MOSCOW: 3}, NIGHT, hours=13.001).opens_at == {MOSCOW: NOW + 13 * HOUR}


@pytest.mark.parametrize("window", [None, DAY])
@pytest.mark.parametrize("per_second", [None, 1.0])
def test_a_mailing_that_is_over_reaches_nobody(window: LocalWindow | None, per_second: float | None) -> None:
    assert reached({MOSCOW: 3}, window, hours=0, per_second=per_second) == Reach({MOSCOW: None}, 0, 3, 0, 0, 0)
    assert reached({MOSCOW: 3}, window, hours=-1, per_second=per_second).too_late == 3


def test_a_limited_rate_reaches_what_it_can_by_the_end() -> None:
    assert reached({MOSCOW: 3600}, hours=1, per_second=1).rate == 0
    assert reached({MOSCOW: 3700}, hours=1, per_second=1) == Reach({MOSCOW: NOW}, 3600, 0, 0, 0, 100)
    assert reached({MOSCOW: 3700}, hours=1, per_second=0.5).reachable == 1800
    assert reached({MOSCOW: 3700}, hours=1, per_second=0.3).reachable == 1080


def test_a_limited_rate_reaches_what_it_can_while_windows_are_open() -> None:
    # Moscow has its whole window; Tokyo's closes at 12:00 UTC, six hours on.
    told = reached({MOSCOW: 12 * 3600, TOKYO: 7 * 3600}, DAY, hours=24, per_second=1)
    # Tokyo opens again at 00:00 UTC, and both have these hours together.
    assert told.reachable == 12 * 3600 + 6 * 3600
    assert told.rate == 3600


def test_windows_of_several_days_count_all() -> None:
    assert reached({MOSCOW: 10**6}, DAY, hours=72, per_second=1).reachable == 3 * 12 * 3600


def test_zones_of_the_same_hours_are_one_group() -> None:
    told = reached({MOSCOW: 2, "+03:00": 3, "Europe/Minsk": 4}, DAY, hours=24, per_second=1)
    assert (told.reachable, told.rate) == (9, 0)


ZONES = st.sampled_from([MOSCOW, TOKYO, HONOLULU, "Asia/Kolkata", "-03:30", "America/New_York", "Europe/London", MARS])
HOURS = st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda hours: hours[0] != hours[1])
WINDOWS = st.none() | HOURS.map(lambda hours: LocalWindow.parse(f"{hours[0]:02d}:00", f"{hours[1]:02d}:00"))


@given(st.dictionaries(ZONES, st.integers(1, 120), max_size=5), WINDOWS, st.integers(0, 40), st.integers(1, 2))
def test_reach_is_what_trying_half_hour_by_half_hour_finds(
    clients: dict[str, int], window: LocalWindow | None, halves: int, nines: int
) -> None:
    # The clocks of Europe and America are set back in these weeks; all of it happens on half hours.
    begin = datetime(2026, 10, 24, 20, tzinfo=UTC)
    told = reached(clients, window, hours=halves / 2, per_second=nines * 0.005, begin=begin)
    open_then = [{name for name in clients if _is_open(window, name, begin + n * HOUR / 2)} for n in range(halves)]
    slots = [together for together in open_then for _ in range(9 * nines)]
    assert told.reachable == _matched(clients, slots)
    assert told.reachable + told.too_late + told.window + told.timezone + told.rate == sum(clients.values())
    for name, opens_at in told.opens_at.items():
        first = next((n for n, together in enumerate(open_then) if name in together), None)
        assert opens_at == (None if first is None else begin + first * HOUR / 2)
    unlimited = reached(clients, window, hours=halves / 2, begin=begin)
    assert unlimited.reachable == told.reachable + told.rate
    assert unlimited.opens_at == told.opens_at


def _is_open(window: LocalWindow | None, name: str, moment: datetime) -> bool:
    if window is None:
        return True
    try:
        return is_open(window, resolve_timezone(name), moment)
    except UnknownTimezoneError:
        return False


def _matched(clients: dict[str, int], slots: list[set[str]]) -> int:
    """Serve one client after the other, each in a slot of its own, by trying (Kuhn)."""
    who: dict[int, str] = {}

    def serve(name: str, seen: set[int]) -> bool:
        for index, open_zones in enumerate(slots):
            if name in open_zones and index not in seen:
                seen.add(index)
                if index not in who or serve(who[index], seen):
                    who[index] = name
                    return True
        return False

    # Whose way is barred once is barred for good.
    return sum(
        len(list(takewhile(bool, (serve(name, set()) for _ in range(number))))) for name, number in clients.items()
    )


GROUPS = st.lists(st.integers(0, 6), max_size=4)
CAPACITIES = st.dictionaries(st.frozensets(st.integers(0, 3), min_size=1), st.integers(0, 6), max_size=8)


@given(GROUPS, CAPACITIES)
def test_as_many_are_served_as_the_tightest_cut_allows(
    wanted: list[int], capacities: dict[frozenset[int], int]
) -> None:
    """By the theorem of max flow and min cut: no choice of groups may exceed what there is for it."""
    cuts = [
        sum(number for group, number in enumerate(wanted) if group not in chosen)
        + sum(capacity for together, capacity in capacities.items() if together & chosen)
        for chosen in _subsets(len(wanted))
    ]
    assert most_served(wanted, capacities) == min(cuts)


def _subsets(groups: int) -> list[set[int]]:
    return [{group for group in range(groups) if bits >> group & 1} for bits in range(2**groups)]


def test_all_zones_there_are_for_a_month_take_no_long_time() -> None:
    names = sorted(name for name in available_timezones() if name not in {"Factory", "localtime"})
    clients = dict(Counter({name: 1000 + 37 * number for number, name in enumerate(names)}))
    began = time.process_time()
    told = reach(clients, LocalWindow.parse("10:00", "11:30"), NOW, NOW + timedelta(days=30), 5.0)
    assert told.reachable + told.rate == sum(clients.values())
    assert told.rate > 0
    assert time.process_time() - began < 10
