from datetime import datetime, timedelta

import pytest

from chalicelib.domain.mailing import MailingStatus
from tests.builders import NOW, mailing

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("start_at", "created_at", "started_at", "late"),
    [
        (NOW, NOW - SECOND, None, None),
        (NOW, NOW - SECOND, NOW, 0),
        (NOW, NOW - SECOND, NOW + 90.26 * SECOND, 90.3),
        (NOW - timedelta(days=1), NOW, NOW + 2 * SECOND, 2),
    ],
)
def test_a_start_is_late_by_what_lies_behind_its_time_and_its_creation(
    start_at: datetime, created_at: datetime, started_at: datetime | None, late: float | None
) -> None:
    assert mailing(start_at=start_at, created_at=created_at, started_at=started_at).late_seconds == late


def test_mailing_ended_when_it_was_finished_or_cancelled() -> None:
    assert mailing(status=MailingStatus.RUNNING).ended_at is None
    assert mailing(status=MailingStatus.FINISHED, finished_at=NOW + SECOND, updated_at=NOW).ended_at == NOW + SECOND
    assert mailing(status=MailingStatus.CANCELLED, updated_at=NOW + SECOND).ended_at == NOW + SECOND
    assert mailing(status=MailingStatus.DELETED, updated_at=NOW + SECOND).ended_at is None
