from datetime import UTC, datetime

import pytest

from infra.host.schedule import Schedule

MONDAY = datetime(2026, 11, 23, 22, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "next_times"),
    [
        ("rate(1 minute)", ["2026-11-23 22:08:30", "2026-11-23 22:09:30"]),
        ("rate(5 minutes)", ["2026-11-23 22:12:30", "2026-11-23 22:17:30"]),
        ("rate(2 hours)", ["2026-11-24 00:07:30", "2026-11-24 02:07:30"]),
        ("rate(1 day)", ["2026-11-24 22:07:30", "2026-11-25 22:07:30"]),
        ("cron(0 3 * * ? *)", ["2026-11-24 03:00:00", "2026-11-25 03:00:00"]),
        ("cron(0/15 * * * ? *)", ["2026-11-23 22:15:00", "2026-11-23 22:30:00"]),
        ("cron(5/25 * * * ? *)", ["2026-11-23 22:30:00", "2026-11-23 22:55:00"]),
        ("cron(10-20/5 22 * * ? *)", ["2026-11-23 22:10:00", "2026-11-23 22:15:00"]),
        ("cron(*/30 * * * ? *)", ["2026-11-23 22:30:00", "2026-11-23 23:00:00"]),
        ("cron(0 9 1,15 * ? *)", ["2026-12-01 09:00:00", "2026-12-15 09:00:00"]),
        ("cron(0 9 ? * 2-6 *)", ["2026-11-24 09:00:00", "2026-11-25 09:00:00"]),
        ("cron(0 9 ? * 1 *)", ["2026-11-29 09:00:00", "2026-12-06 09:00:00"]),
        ("cron(0 9 ? * MON,wed *)", ["2026-11-25 09:00:00", "2026-11-30 09:00:00"]),
        ("cron(0 9 ? * 2/3 *)", ["2026-11-26 09:00:00", "2026-11-30 09:00:00"]),
        ("cron(0 0 1 JAN ? *)", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
    ],
)
def test_times_are_those_of_eventbridge(expression: str, next_times: list[str]) -> None:
    schedule, moment, found = Schedule.of(expression), MONDAY, []
    for _ in next_times:
        moment = schedule.next_after(moment)
        found.append(f"{moment:%Y-%m-%d %H:%M:%S}")

    assert found == next_times
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("every minute", "no schedule"),
        ("rate(1 second)", "no schedule"),
        ("cron(0 3 * * *)", "no schedule"),
        ("at(2026-11-23T00:00:00)", "no schedule"),
        ("cron(0 3 * * ? 2027)", "years"),
        ("cron(0 3 * * * *)", r"a \?"),
        ("cron(0 3 ? * ? *)", r"a \?"),
        ("cron(0 3 L * ? *)", "not supported"),
        ("cron(0 3 15W * ? *)", "not supported"),
        ("cron(0 3 ? * 6L *)", "not supported"),
        ("cron(0 3 ? * 6#3 *)", "not supported"),
        ("cron(60 3 * * ? *)", "minute"),
        ("cron(0 3 ? * 8 *)", "day-of-week"),
        ("cron(0 3 ? * 0 *)", "day-of-week"),
    ],
)
def test_what_cron_cannot_say_is_refused(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Schedule.of(expression)
