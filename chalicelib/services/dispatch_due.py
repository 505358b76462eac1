"""The minute hand: whatever should have gone on by itself and has not, goes on here."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.correlation import correlated
from chalicelib.domain.delivery import is_sent_at
from chalicelib.domain.mailing import STARTED
from chalicelib.domain.message import PUT_OFF_GRACE, Status
from chalicelib.domain.tickets import deal_out
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, DueMessage, MailingRepository, MessageRepository, SegmentRepository, TicketQueue
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.finish_mailing import FinishMailing
from chalicelib.services.plan_segment import SEGMENT_GRACE
from chalicelib.services.resume_imports import ResumeImports
from chalicelib.services.shared_breaker import SharedBreaker
from chalicelib.services.start_due import StartDue

logger = logging.getLogger(__name__)

NEARLY_EMPTY_TICKETS = 100
PAGE = 240  # ten tickets
SEGMENTS = 100

Look = Callable[[], int]


@dataclass(frozen=True, slots=True)
class DispatchDue:
    """Brings back what was lost: late mailings, stale segments and imports, due rows, mailings that nobody finished.

    A row's `due_at` moves forward before its ticket is sent: killed in between, it comes due once more.
    """

    start_due: StartDue
    resume_imports: ResumeImports
    finish: FinishMailing
    mailings: MailingRepository
    cached_mailings: CachedMailings
    segments: SegmentRepository
    messages: MessageRepository
    tickets: TicketQueue
    breaker: SharedBreaker
    clock: Clock
    queued_grace: timedelta
    due_shards: int

    def __call__(self, stop_at: datetime) -> None:
        """Look at everything once, or until `stop_at`; the next minute goes on.

        Raises:
            TransientError: something could not be looked at; all the rest was.
        """
        failures: list[TransientError] = []

        def found_by(*looks: Look) -> int:
            """Add up what was found. A look that fails takes none of the others with it, now or each minute."""
            found = 0
            for look in looks:
                try:
                    found += look()
                except TransientError as error:
                    logger.warning("not dispatched in part", extra={"error": str(error)})
                    failures.append(error)
            return found

        started = found_by(lambda: len(self.start_due()))
        imports = found_by(self.resume_imports)
        segments = found_by(self._segments)
        deferred = found_by(*self._shards(Status.DEFERRED, PUT_OFF_GRACE, stop_at))
        nearly_empty = found_by(self._is_nearly_empty)
        queued = found_by(*self._shards(Status.QUEUED, self.queued_grace, stop_at)) if nearly_empty else 0
        running = found_by(lambda: self._finish_started(stop_at))
        logger.info(
            "dispatched",
            extra={
                "mailings_started": started,
                "mailings_running": running,
                "imports": imports,
                "segments": segments,
                "deferred": deferred,
                "queued": queued,
            },
        )
        if failures:
            raise TransientError(f"not dispatched in {len(failures)} parts, the first: {failures[0]}") from failures[0]

    def _is_nearly_empty(self) -> bool:
        # While tickets wait, a queued row is late because the queue is long, and one more ticket makes it longer.
        # While requests are held back, tickets go round with a delay.
        return self.tickets.backlog(delayed=self.breaker.hold() is not None) <= NEARLY_EMPTY_TICKETS

    def _segments(self) -> int:
        now = self.clock()
        due = self.segments.due(now, SEGMENTS)
        for mailing_id, name in due:
            segment = self.segments.get(mailing_id, name)
            if segment is not None and not segment.done:
                self.segments.save(replace(segment, due_at=now + SEGMENT_GRACE))
                mailing = self.cached_mailings.get(mailing_id)
                with correlated(mailing.correlation_id if mailing else None):
                    self.tickets.send_segments(mailing_id, [name])
        return len(due)

    def _shards(self, status: Status, grace: timedelta, stop_at: datetime) -> Iterator[Look]:
        return (partial(self._shard, status, shard, grace, stop_at) for shard in range(self.due_shards))

    def _shard(self, status: Status, shard: int, grace: timedelta, stop_at: datetime) -> int:
        dispatched = 0
        while (now := self.clock()) < stop_at:
            due = self.messages.due(status, shard, now, PAGE)
            moved = self.messages.move_due(due, now=now, due_at=now + grace) if due else []
            self._queue(moved)
            dispatched += len(moved)
            if len(due) < PAGE or not moved:
                break
        return dispatched

    def _queue(self, due: Sequence[DueMessage]) -> None:
        by_mailing = defaultdict(list)
        for message in due:
            by_mailing[message.mailing_id].append(message.id)
        for mailing_id, ids in by_mailing.items():
            mailing = self.cached_mailings.get(mailing_id)
            if mailing is None:
                logger.error("due rows of no mailing", extra={"mailing_id": mailing_id, "message_ids": ids})
            elif self.breaker.hold() is None or not is_sent_at(mailing, self.clock()):
                # While requests are held back, the tickets there are go round: more of them would not end it sooner.
                with correlated(mailing.correlation_id):
                    self.tickets.send_messages(mailing, [(ticket, timedelta()) for ticket in deal_out(ids)])

    def _finish_started(self, stop_at: datetime) -> int:
        looked_at = 0
        for status in sorted(STARTED):
            after = None
            while self.clock() < stop_at:
                page = self.mailings.page(status, after, PAGE)
                for mailing in page.items:
                    self.finish.planning(mailing.id)
                    looked_at += 1
                after = page.next
                if after is None:
                    break
        return looked_at
