"""What somebody who runs mailings must see at once: what runs and how fast, what waits, what was sent today."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from chalicelib.domain import progress
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.mailing import STARTED, Mailing, MailingStatus
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, CounterRepository, DeadLetters, MailingRepository, TicketQueue
from chalicelib.services.read_statistics import PARALLEL_READS, Counts

logger = logging.getLogger(__name__)

LISTED = 100  # mailings of each status; those that started last
UPCOMING = 5
AHEAD = timedelta(days=366)

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class RunningMailing:
    """A mailing that has started and not ended.

    Attributes:
        per_second: messages sent of late.
        through_at: when all is sent at this rate; None if nobody can say, or its end comes before.
    """

    mailing: Mailing
    counts: Counts
    per_second: float
    through_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All of it.

    Attributes:
        running: running and paused mailings, those that started last first.
        upcoming: the next ones to start, within a year.
        sent: messages sent since the day began.
        failed: messages that have failed in the mailings that ran since then.
        queues: tickets that wait, approximately, by queue; None if that cannot be told.
        dead_letters: likewise.
    """

    running: Sequence[RunningMailing]
    upcoming: Sequence[Mailing]
    sent: int
    failed: int
    queues: Mapping[str, int] | None
    dead_letters: Mapping[DeadQueue, int] | None


@dataclass(frozen=True, slots=True)
class _Figures:
    running: RunningMailing | None
    sent: int
    failed: int


@dataclass(frozen=True, slots=True)
class ReadDashboard:
    """The use case of those who look whether all goes well. Tests of mailings are left out."""

    mailings: MailingRepository
    counters: CounterRepository
    tickets: TicketQueue
    dead_letters: DeadLetters
    clock: Clock

    def __call__(self, day_began_at: datetime) -> Dashboard:
        """Read it; `day_began_at` is the last midnight where the reader is."""
        open_ = [mailing for status in sorted(STARTED, reverse=True) for mailing in self._newest(status)]
        ended = [
            mailing
            for status in (MailingStatus.FINISHED, MailingStatus.CANCELLED)
            for mailing in self._newest(status)
            if mailing.updated_at >= day_began_at
        ]
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            figures = list(pool.map(lambda mailing: self._figures(mailing, day_began_at), [*open_, *ended]))
            queues = pool.submit(self._known, self.tickets.waiting)
            dead = pool.submit(self._known, lambda: {queue: self.dead_letters.waiting(queue) for queue in DeadQueue})
        return Dashboard(
            [each.running for each in figures if each.running],
            self.mailings.starting_until(day_began_at + AHEAD, UPCOMING),
            sum(each.sent for each in figures),
            sum(each.failed for each in figures),
            queues.result(),
            dead.result(),
        )

    def _newest(self, status: MailingStatus) -> Sequence[Mailing]:
        return [mailing for mailing in self.mailings.page(status, None, LISTED).items if mailing.test_of is None]

    def _figures(self, mailing: Mailing, day_began_at: datetime) -> _Figures:
        counts = Counts.of(self.counters.totals(mailing.id).counts)
        began_today = mailing.started_at is not None and mailing.started_at >= day_began_at
        sent = counts.sent if began_today else self.counters.sent_since(mailing.id, day_began_at)
        return _Figures(self._running(mailing, counts) if mailing.status in STARTED else None, sent, counts.failed)

    def _running(self, mailing: Mailing, counts: Counts) -> RunningMailing:
        if mailing.status is MailingStatus.PAUSED:  # it sends nothing, and nobody knows for how long
            return RunningMailing(mailing, counts, 0, None)
        now = self.clock()
        minutes = [(at, sent["sent"]) for at, sent in self.counters.per_minute(mailing.id, progress.MINUTES)]
        per_second = progress.rate(minutes, mailing.started_at or mailing.start_at, now)
        through_at = progress.through_at(counts.queued + counts.deferred, per_second, now, mailing.end_at)
        return RunningMailing(mailing, counts, per_second, through_at if mailing.planned_at else None)

    def _known(self, read: Callable[[], Known]) -> Known | None:
        try:
            return read()
        except TransientError as error:
            logger.warning("queue not counted", extra={"error": str(error)})
            return None
