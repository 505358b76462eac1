"""Find out that planning is complete, and that nothing is left to send."""

import logging
from dataclasses import dataclass, replace

from chalicelib.correlation import correlated
from chalicelib.domain.mailing import STARTED, MailingStatus
from chalicelib.domain.message import OPEN
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import ConflictError
from chalicelib.ports import Clock, CounterRepository, MailingRepository, SegmentRepository

logger = logging.getLogger(__name__)

_TRIES = 5
MAKES_WORK = frozenset({SegmentKind.PLAN, SegmentKind.RETRY})


@dataclass(frozen=True, slots=True)
class FinishMailing:
    """Derives, by consistent reads, that a mailing is planned or finished, and stores when.

    Whoever ends the last segment or the last row calls it; if that one is killed, the dispatcher does.
    """

    mailings: MailingRepository
    segments: SegmentRepository
    counters: CounterRepository
    clock: Clock

    def planning(self, mailing_id: str) -> None:
        """Set `planned_at` if all segments that make work are done; finish a mailing that has nothing left by then."""
        for _ in range(_TRIES):
            mailing = self.mailings.get(mailing_id)
            if mailing is None or mailing.planned_at is not None:
                break
            if not all(segment.done for segment in self.segments.of_mailing(mailing_id) if segment.kind in MAKES_WORK):
                return
            try:
                self.mailings.replace(mailing, replace(mailing, planned_at=self.clock(), version=mailing.version + 1))
            except ConflictError:
                continue
            with correlated(mailing.correlation_id):
                logger.info("mailing planned", extra={"mailing_id": mailing_id})
            break
        self(mailing_id)

    def __call__(self, mailing_id: str) -> None:
        """Finish a mailing, running or paused, whose planning is complete and which has no open row.

        The counters may be read one after the other while senders work: after planning, the open rows of each
        counter's transactions only become fewer, so a sum of zero means that none was open when the last was read.
        """
        mailing = self.mailings.get(mailing_id)
        if mailing is None or mailing.status not in STARTED or mailing.planned_at is None:
            return
        counts = self.counters.totals(mailing_id).counts
        if sum(counts[status] for status in OPEN):
            return
        now = self.clock()
        finished = replace(
            mailing, status=MailingStatus.FINISHED, finished_at=now, updated_at=now, version=mailing.version + 1
        )
        try:
            self.mailings.replace(mailing, finished)
        except ConflictError:
            return  # whoever changed it, its next row or the dispatcher brings us back
        with correlated(mailing.correlation_id):
            logger.info("mailing finished", extra={"mailing_id": mailing_id})
