import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone
from chalicelib.errors import ServiceError

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
IANA_NAMES = zoneinfo.available_timezones() - {"localtime", "Factory"}


@pytest.mark.parametrize("name", ["Europe/Moscow", "Asia/Kolkata", "America/Argentina/Ushuaia", "UTC", "Etc/GMT+3"])
def test_an_iana_name_is_its_zone(name: str) -> None:
    assert resolve_timezone(name) == ZoneInfo(name)


def test_every_iana_name_resolves() -> None:
    assert len(IANA_NAMES) > 500
    for name in IANA_NAMES:
        assert resolve_timezone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    ("name", "hours", "minutes"),
    [
        ("+00:00", 0, 0),
        ("-00:00", 0, 0),
        ("+03:00", 3, 0),
        ("+05:45", 5, 45),
        ("-03:30", -3, -30),
        ("-00:30", 0, -30),
        ("+00:59", 0, 59),
        ("-11:59", -11, -59),
        ("-12:00", -12, 0),
        ("+13:59", 13, 59),
        ("+14:00", 14, 0),
    ],
)
def test_an_offset_is_a_fixed_distance_from_utc(name: str, hours: int, minutes: int) -> None:
    assert NOON.astimezone(resolve_timezone(name)).utcoffset() == timedelta(hours=hours, minutes=minutes)


@pytest.mark.parametrize("name", ["Europe/Moscow", "+03:00"])
def test_a_zone_is_read_once(name: str) -> None:
    assert resolve_timezone(name) is resolve_timezone(name)


@pytest.mark.parametrize(
    "name",
    [
        # nothing, and nothing known
        "",
        " ",
        "\0",
        "Mars/Olympus",
        "Europe",
        "Europe/",
        "MSK",
        "None",
        # what a machine takes for its own clock
        "Factory",
        "localtime",
        "posixrules",
        "posix/Europe/Moscow",
        "right/Europe/Moscow",
        # paths
        "../etc/passwd",
        "../zoneinfo/Europe/Moscow",
        "/etc/localtime",
        "/usr/share/zoneinfo/Europe/Moscow",
        "./Europe/Moscow",
        "Europe//Moscow",
        "Europe/../Europe/Moscow",
        "zone.tab",
        "tzdata.zi",
        # another spelling
        "europe/moscow",
        "EUROPE/MOSCOW",
        "utc",
        "Europe/Moscow\n",
        " Europe/Moscow",
        "Europe\\Moscow",
        # offsets beyond those that people live by
        "-12:01",
        "+14:01",
        "+15:00",
        "+24:00",
        "+99:99",
        # not quite offsets
        "+03:60",
        "03:00",
        "+3:00",
        "+0300",
        "+03",
        "+03:00:00",
        "+03:00\n",
        " +03:00",
        "UTC+03:00",
        "\u221203:00",
        "+\u0660\u0663:00",
        "+03:0\u0660",
    ],
)
def test_anything_else_is_refused_and_never_a_default(name: str) -> None:
    with pytest.raises(UnknownTimezoneError) as raised:
        resolve_timezone(name)
    assert repr(name) in str(raised.value)
    assert isinstance(raised.value, ServiceError)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[+-][0-9]{2}:[0-9]{2}", fullmatch=True))
def test_text_is_a_zone_of_that_name_or_refused(name: str) -> None:
    assume(name not in IANA_NAMES)
    try:
        zone = resolve_timezone(name)
    except UnknownTimezoneError:
        return
    assert zone.tzname(None) == ("UTC" if name[1:] == "00:00" else f"UTC{name}")
