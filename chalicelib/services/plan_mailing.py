"""Start a mailing: fix its audience's segments and have them planned; a small one is planned at once."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.correlation import correlated
from chalicelib.domain.audience import Member, parts_to_read
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.segment import Segment, cut
from chalicelib.errors import ConflictError
from chalicelib.ports import AudienceRepository, Clock, MailingRepository, Scheduler, SegmentRepository, TicketQueue
from chalicelib.services.plan_segment import SEGMENT_GRACE, PlanSegment

logger = logging.getLogger(__name__)

LARGE_MESSAGE_SHARDS = 64
SMALL_MESSAGE_SHARDS = 4
SMALL_GRACE = timedelta(seconds=90)  # above the planner's timeout; no ticket stands behind what is planned at once
PARTS_AT_ONCE = 32  # those of one code, of one tag, or of everybody
PARALLEL_READS = 8  # below the ten connections that a boto3 client keeps
PAGE = 100


@dataclass(frozen=True, slots=True)
class PlanMailing:
    """Opens a mailing when its time has come. Called as often as anybody likes: it opens once.

    A small mailing is planned here, from the members that were read to find that it is small: it waits behind no large
    one. Killed after the transaction: the segments' `due_at` brings their tickets. Killed before: the mailing is still
    scheduled, and the dispatcher calls again.
    """

    mailings: MailingRepository
    segments: SegmentRepository
    audience: AudienceRepository
    tickets: TicketQueue
    scheduler: Scheduler
    plan: PlanSegment
    clock: Clock
    plan_segments: int
    express_max_clients: int

    def __call__(self, mailing_id: str) -> None:
        """Open the mailing if it is scheduled and due; arm its schedule again if it is not due yet."""
        mailing = self.mailings.get(mailing_id)
        with correlated(mailing.correlation_id if mailing else None, mailing_id=mailing_id):
            if mailing is None or mailing.status is not MailingStatus.SCHEDULED:
                ids = {"mailing_id": mailing_id}
                logger.info("mailing not to be started", extra=ids | {"status": mailing.status if mailing else None})
            else:
                self._start(mailing)

    def _start(self, mailing: Mailing) -> None:
        ids = {"mailing_id": mailing.id}
        now = self.clock()
        if now < mailing.start_at:
            self.scheduler.put(mailing)
            logger.info("mailing called early, armed again", extra=ids | {"start_at": mailing.start_at.isoformat()})
            return
        members = self._small_audience(mailing)
        opened, segments = self._open(mailing, now, small=members is not None)
        try:
            self.segments.change_mailing(mailing, opened, segments)
        except ConflictError:
            logger.info("mailing changed while it was started; whoever changed it goes on", extra=ids)
            return
        logger.info(
            "mailing started",
            extra=ids | {"segments": len(segments), "express": opened.express, "late_seconds": opened.late_seconds},
        )
        if members is None:
            self.tickets.send_segments(mailing.id, [segment.segment for segment in segments])
        else:
            self.plan.at_once(opened, segments[0], members)
        self.scheduler.remove(mailing.id)

    def _open(self, mailing: Mailing, now: datetime, *, small: bool) -> tuple[Mailing, list[Segment]]:
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
        due_at, expires_at = now + (SMALL_GRACE if small else SEGMENT_GRACE), mailing.rows_expire_at
        segments = [
            Segment(mailing.id, f"plan#{index:02d}", share, due_at=due_at, expires_at=expires_at)
            for index, share in enumerate(shares)
        ]
        return opened, segments

    def _small_audience(self, mailing: Mailing) -> Sequence[Member] | None:
        """Read all members of a small audience; None if there are more of them than that."""
        parts = parts_to_read(mailing.filter)
        found: list[Member] = []
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            for start in range(0, len(parts), PARTS_AT_ONCE):
                pending: list[tuple[str, str | None]] = [(part, None) for part in parts[start : start + PARTS_AT_ONCE]]
                while pending:
                    pages = list(pool.map(lambda place: self.audience.members(place[0], place[1], PAGE), pending))
                    found += (member for page in pages for member in page.items if mailing.filter.plans(member))
                    if len(found) > self.express_max_clients:
                        return None
                    pending = [(part, page.next) for (part, _), page in zip(pending, pages, strict=True) if page.next]
        return found
