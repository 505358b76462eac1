"""Work off a segment: plan its clients, a row for each and then tickets for the rows; or sweep its rows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeGuard

from chalicelib.domain.audience import Member
from chalicelib.domain.delivery import planned
from chalicelib.domain.mailing import STOPPED, Mailing
from chalicelib.domain.message import Status
from chalicelib.domain.segment import Segment, SegmentKind
from chalicelib.domain.tickets import SegmentTicket, deal_out
from chalicelib.ports import (
    AudienceRepository,
    Clock,
    MailingRepository,
    MessageRepository,
    NewId,
    SegmentRepository,
    TicketQueue,
)
from chalicelib.services.finish_mailing import FinishMailing
from chalicelib.services.sweep_messages import SweepMessages

logger = logging.getLogger(__name__)

SEGMENT_GRACE = timedelta(minutes=7)  # above the visibility timeout of the plan queue
ROWS_AT_FIRST = 96  # one transaction: senders begin while the rest of the page is planned
ROWS_PER_PAGE = 480  # five full transactions
READ_LIMIT = 500


@dataclass(frozen=True, slots=True)
class PlanSegment:
    """Works off a segment from its cursor on, and hands itself on when its time is over.

    Planning: rows come first, then their tickets, then the cursor. Killed in between: the page is planned again, finds
    its rows, and queues tickets for those that nobody has looked at yet; a ticket too many changes nothing. Sweeps are
    the same in other hands (`SweepMessages`).
    """

    mailings: MailingRepository
    segments: SegmentRepository
    audience: AudienceRepository
    messages: MessageRepository
    tickets: TicketQueue
    finish: FinishMailing
    sweep: SweepMessages
    clock: Clock
    new_version: NewId
    queued_grace: timedelta

    def __call__(self, ticket: SegmentTicket, stop_at: datetime) -> None:
        """Work until the segment is done or `stop_at` has come."""
        ids = {"mailing_id": ticket.mailing_id, "segment": ticket.segment}
        segment = self.segments.get(ticket.mailing_id, ticket.segment)
        if segment is None:
            logger.warning("plan ticket dropped: there is no such segment", extra=ids)
            return
        changed = 0
        # The mailing is read for each page: a sweep that goes on with a mailing of yesterday undoes what follows today.
        while not segment.done and _is_wanted(mailing := self.mailings.get(ticket.mailing_id), segment):
            if self.clock() >= stop_at:
                self.tickets.send_segments(mailing.id, [segment.segment])
                logger.info("segment handed on", extra=ids | {"messages": changed})
                return
            work = self._plan_page if segment.kind is SegmentKind.PLAN else self.sweep
            messages, segment = work(mailing, segment)
            changed += messages
            done = segment.cursor_part == len(segment.parts)
            segment = replace(segment, due_at=None if done else self.clock() + SEGMENT_GRACE)
            self.segments.save(segment)
        if not segment.done:
            self.segments.save(replace(segment, due_at=None))
        logger.info("segment done", extra=ids | {"messages": changed})
        self.finish.planning(ticket.mailing_id)

    def at_once(self, mailing: Mailing, segment: Segment, members: Sequence[Member]) -> None:
        """Plan a segment whose members are known, without a ticket. Killed in it: its `due_at` brings one."""
        messages = self._plan(mailing, members)
        self.segments.save(replace(segment, due_at=None))
        ids = {"mailing_id": mailing.id, "segment": segment.segment}
        logger.info("segment done", extra=ids | {"messages": messages})
        self.finish.planning(mailing.id)

    def _plan_page(self, mailing: Mailing, segment: Segment) -> tuple[int, Segment]:
        members, segment = self._read(mailing, segment)
        return self._plan(mailing, members), segment

    def _read(self, mailing: Mailing, segment: Segment) -> tuple[list[Member], Segment]:
        """Read on until a page is full; returns its members, and the segment with the cursor behind them."""
        members: list[Member] = []
        part, after = segment.cursor_part, segment.cursor_after
        while part < len(segment.parts) and len(members) < ROWS_PER_PAGE:
            page = self.audience.members(segment.parts[part], after, READ_LIMIT)
            members += (member for member in page.items if mailing.filter.plans(member))
            part, after = (part, page.next) if page.next else (part + 1, None)
        return members, replace(segment, cursor_part=part, cursor_after=after)

    def _plan(self, mailing: Mailing, members: Sequence[Member]) -> int:
        now = self.clock()
        rows = [
            planned(mailing, member.client_id, bundle, now, self.queued_grace)
            for ticket in deal_out(members)
            for bundle in [self.new_version()]
            for member in ticket
        ]
        for part in filter(None, (rows[:ROWS_AT_FIRST], rows[ROWS_AT_FIRST:])):
            stored = self.messages.plan(mailing, part)
            untouched = [row.id for row in stored if row.status is Status.QUEUED]
            self.tickets.send_messages(mailing, [(ids, timedelta()) for ids in deal_out(untouched)])
        return len(rows)


def _is_wanted(mailing: Mailing | None, segment: Segment) -> TypeGuard[Mailing]:
    """Tell whether the segment still matters: a later change of the mailing is followed by a sweep of its own."""
    if mailing is None:
        return False
    if segment.kind is SegmentKind.FOLLOW:
        return mailing.sweep == segment.sweep
    return mailing.status not in STOPPED
