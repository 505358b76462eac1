"""Whether the senders' log can tell what was sent since a moment."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from aftermath import why_not_by_log

MOMENT = datetime(2026, 11, 1, 10, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OTHER = {"logGroupName": "/aws/lambda/vestnik-sender-of-another", "creationTime": 0}


def why(*groups: dict[str, Any], age: timedelta = DAY, level: str = "") -> str:
    logs = SimpleNamespace(describe_log_groups=lambda **_: {"logGroups": [OTHER, *groups]})
    return why_not_by_log(logs, "vestnik", {"LOG_LEVEL": level}, MOMENT, MOMENT + age)


def group(created: timedelta = -DAY, days: int | None = 30) -> dict[str, Any]:
    made = {
        "logGroupName": "/aws/lambda/vestnik-sender",
        "creationTime": int((MOMENT + created).timestamp() * 1000),
    }
    return made | ({"retentionInDays": days} if days else {})


@pytest.mark.parametrize("level", ["", "INFO", "DEBUG"])
def test_a_log_that_reaches_so_far_tells_everything(level: str) -> None:
    assert why(group(), level=level) == ""
    assert why(group(created=timedelta()), age=30 * DAY) == ""
    assert why(group(days=None), age=1000 * DAY) == ""


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_senders_that_log_no_requests_tell_nothing(level: str) -> None:
    assert why(group(), level=level) == f"senders log no requests at LOG_LEVEL={level}"


def test_lines_that_were_dropped_are_missed() -> None:
    assert why(group(), age=30 * DAY + timedelta(seconds=1)) == "the senders' log is kept for 30 days only"


def test_a_log_that_was_made_anew_or_is_gone_is_missed() -> None:
    made_anew = "the log group /aws/lambda/vestnik-sender was made after 2026-11-01T10:00:00Z"
    assert why(group(created=timedelta(seconds=1))) == made_anew
    assert why() == "there is no log group /aws/lambda/vestnik-sender"
