"""Start a mailing: fix its audience's segments and have them planned."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from chalicelib.domain.audience import parts_to_read
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.segment import Segment, cut
from chalicelib.errors import ConflictError
from chalicelib.ports import AudienceRepository, Clock, MailingRepository, Scheduler, SegmentRepository, TicketQueue
from chalicelib.services.plan_segment import SEGMENT_GRACE

logger = logging.getLogger(__name__)

LARGE_MESSAGE_SHARDS = 64
SMALL_MESSAGE_SHARDS = 4
PAGE = 500


@dataclass(frozen=True, slots=True)
class PlanMailing:
    """Opens a mailing when its time has come. Called as often as anybody likes: it opens once.

    Killed after the transaction: the segments' `due_at` brings their tickets. Killed before: the mailing is still
    scheduled, and the dispatcher calls again.
    """

    mailings: MailingRepository
    segments: SegmentRepository
    audience: AudienceRepository
    tickets: TicketQueue
    scheduler: Scheduler
    clock: Clock
    plan_segments: int
    express_max_clients: int

    def __call__(self, mailing_id: str) -> None:
        """Open the mailing if it is scheduled and due; arm its schedule again if it is not due yet."""
        mailing = self.mailings.get(mailing_id)
        ids = {"mailing_id": mailing_id}
        if mailing is None or mailing.status is not MailingStatus.SCHEDULED:
            logger.info("mailing not to be started", extra=ids | {"status": mailing.status if mailing else None})
            return
        now = self.clock()
        if now < mailing.start_at:
            self.scheduler.put(mailing)
            logger.info("mailing called early, armed again", extra=ids | {"start_at": mailing.start_at.isoformat()})
            return
        opened, segments = self._open(mailing, now)
        try:
            self.segments.change_mailing(mailing, opened, segments)
        except ConflictError:
            logger.info("mailing changed while it was started; whoever changed it goes on", extra=ids)
            return
        self.tickets.send_segments(mailing_id, [segment.segment for segment in segments])
        self.scheduler.remove(mailing_id)
        logger.info(
            "mailing started",
            extra=ids | {"segments": len(segments), "express": opened.express, "late_seconds": opened.late_seconds},
        )

    def _open(self, mailing: Mailing, now: datetime) -> tuple[Mailing, list[Segment]]:
        small = self._is_small(mailing)
        parts = parts_to_read(mailing.filter)
        shares = cut(parts, 1 if small else self.plan_segments)
        opened = replace(
            mailing,
            status=MailingStatus.RUNNING,
            started_at=now,
            updated_at=now,
            segments=len(shares),
            message_shards=SMALL_MESSAGE_SHARDS if small else LARGE_MESSAGE_SHARDS,
            express=small,
            version=mailing.version + 1,
        )
        due_at, expires_at = now + SEGMENT_GRACE, mailing.rows_expire_at
        segments = [
            Segment(mailing.id, f"plan#{index:02d}", share, due_at=due_at, expires_at=expires_at)
            for index, share in enumerate(shares)
        ]
        return opened, segments

    def _is_small(self, mailing: Mailing) -> bool:
        some = islice(self._audience(mailing), self.express_max_clients + 1)
        return sum(1 for _ in some) <= self.express_max_clients

    def _audience(self, mailing: Mailing) -> Iterator[str]:
        for part in parts_to_read(mailing.filter):
            after = None
            while True:
                page = self.audience.members(part, after, PAGE)
                yield from (member.client_id for member in page.items if mailing.filter.matches(member))
                after = page.next
                if after is None:
                    break
