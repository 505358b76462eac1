"""Change a mailing and order the sweep by which its rows follow."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.segment import Segment, SegmentKind, cut
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, SegmentRepository, TicketQueue
from chalicelib.services.plan_segment import SEGMENT_GRACE

logger = logging.getLogger(__name__)

SEGMENTS = 8
# Requests that were begun before the change, or by a sender that did not know of it yet (2 s), are recorded by then.
SECOND_LOOK = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class OrderSweep:
    """Stores the change with the sweep's segments in one transaction, then queues their tickets.

    Following is ordered twice, at once and once more when whatever was under way is recorded. Killed before the
    tickets: the segments' `due_at` brings them. A later change makes what is left of an earlier sweep obsolete.
    """

    segments: SegmentRepository
    tickets: TicketQueue
    clock: Clock

    def __call__(self, before: Mailing, after: Mailing, kind: SegmentKind) -> Mailing:
        """Store `after`; returns it with the sweep that it orders.

        Raises:
            StaleError: the mailing has changed since `before` was read.
        """
        if kind is SegmentKind.FOLLOW:
            after = replace(after, sweep=after.version)
        looks = (timedelta(), SECOND_LOOK) if kind is SegmentKind.FOLLOW else (timedelta(),)
        ordered = [(delay, self._segments(after, kind, look, delay)) for look, delay in enumerate(looks, start=1)]
        self.segments.change_mailing(before, after, [segment for _, share in ordered for segment in share])
        try:
            for delay, share in ordered:
                self.tickets.send_segments(after.id, [segment.segment for segment in share], delay)
        except TransientError as error:
            logger.warning("sweep not queued; due_at brings it", extra={"mailing_id": after.id, "error": str(error)})
        return after

    def _segments(self, mailing: Mailing, kind: SegmentKind, look: int, delay: timedelta) -> list[Segment]:
        due_at = self.clock() + delay + SEGMENT_GRACE
        return [
            Segment(
                mailing.id,
                f"{kind}#{mailing.version:06d}#{look}#{index:02d}",
                share,
                sweep=mailing.version,
                due_at=due_at,
                expires_at=mailing.rows_expire_at,
            )
            for index, share in enumerate(cut(mailing.message_parts, SEGMENTS))
        ]
