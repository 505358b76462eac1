from datetime import UTC, datetime

import pytest

from chalicelib.admin.local_time import read_local, write_local


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-23T09:00", "Europe/Moscow", datetime(2026, 11, 23, 6, 0, tzinfo=UTC)),
        ("2026-11-23T09:00:30", "+05:30", datetime(2026, 11, 23, 3, 30, 30, tzinfo=UTC)),
        ("2026-07-01T00:30", "Europe/Berlin", datetime(2026, 6, 30, 22, 30, tzinfo=UTC)),
        ("2026-10-25T03:00", "Europe/Berlin", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
    ],
)
def test_a_local_time_is_that_of_its_zone(text: str, zone: str, moment: datetime) -> None:
    assert read_local(text, zone) == moment
    assert write_local(moment, zone) == text[:16]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-03-29T02:30", "does not exist in Europe/Berlin"),
        ("2026-10-25T02:30", "is there twice in Europe/Berlin"),
        ("2026-02-30T10:00", "is not a time that exists"),
        ("0001-01-01T00:00", "is not a time that exists"),
        ("2026-11-23 09:00", "must be a date and a time"),
        ("2026-11-23T09:00Z", "must be a date and a time"),
        ("", "must be a date and a time"),
    ],
)
def test_what_the_clocks_do_not_show_once_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_local(text, "Europe/Berlin")
