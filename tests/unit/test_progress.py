from datetime import timedelta

import pytest

from chalicelib.domain.progress import rate, through_at
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
NOW_30 = NOW + timedelta(seconds=30)


def test_rate_is_over_the_minute_under_way_and_the_two_before() -> None:
    sent = [(NOW - 3 * MINUTE, 1_000), (NOW - 2 * MINUTE, 100), (NOW - MINUTE, 150), (NOW, 50)]
    assert rate(sent, NOW - 60 * MINUTE, NOW_30) == 2.0  # 300 in 150 s


def test_rate_of_a_mailing_that_just_started_is_over_the_time_since() -> None:
    assert rate([(NOW, 40)], NOW + timedelta(seconds=10), NOW_30) == 2.0
    assert rate([(NOW, 40)], NOW_30, NOW_30) == 40.0


def test_nothing_sent_of_late_is_no_rate() -> None:
    assert rate([(NOW - 3 * MINUTE, 1_000)], NOW - 60 * MINUTE, NOW_30) == 0


@pytest.mark.parametrize(
    ("still_open", "per_second", "seconds"),
    [(100, 2.0, 50), (120, 2.0, 60), (121, 2.0, None), (0, 1.0, 0), (5, 0, None)],
)
def test_end_is_estimated_unless_nobody_can_or_the_mailing_ends_before(
    still_open: int, per_second: float, seconds: int | None
) -> None:
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert through_at(still_open, per_second, NOW, NOW + MINUTE) == expected
