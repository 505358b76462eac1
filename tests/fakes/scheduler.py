from typing import TYPE_CHECKING

from chalicelib.domain.mailing import Mailing
from chalicelib.errors import TransientError

if TYPE_CHECKING:
    from datetime import datetime


class FakeScheduler:
    """Schedules in memory (port: `Scheduler`); set `down` to have every call fail."""

    def __init__(self) -> None:
        self.scheduled: dict[str, datetime] = {}
        self.started: list[str] = []
        self.down = False

    def put(self, mailing: Mailing) -> None:
        self._check()
        self.scheduled[mailing.id] = mailing.start_at

    def remove(self, mailing_id: str) -> None:
        self._check()
        self.scheduled.pop(mailing_id, None)

    def start_now(self, mailing_id: str) -> None:
        self._check()
        self.started.append(mailing_id)

    def _check(self) -> None:
        if self.down:
            raise TransientError("the scheduler does not answer")
