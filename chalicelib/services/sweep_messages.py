"""Sweep the rows of a mailing: have them follow its change, or queue the failed ones again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.client import Client
from chalicelib.domain.delivery import END_MARGIN, Policy, follow
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message, Outcome, Status, retried
from chalicelib.domain.segment import Segment, SegmentKind
from chalicelib.domain.tickets import deal_out, delays
from chalicelib.ports import ClientRepository, Clock, MessageLists, MessageRepository, TicketQueue
from chalicelib.services.bundles import Bundles

ROWS_PER_PAGE = 480  # five full transactions


@dataclass(frozen=True, slots=True)
class SweepMessages:
    """Works off one page of a sweep. Rows first, then their tickets; done twice, the second finds nothing to do.

    Rows that the index does not show yet, or that a sender holds, are decided by that sender, which reads the mailing
    as it is by then.
    """

    clients: ClientRepository
    lists: MessageLists
    messages: MessageRepository
    bundles: Bundles
    tickets: TicketQueue
    clock: Clock
    policy: Policy
    queued_grace: timedelta

    def __call__(self, mailing: Mailing, segment: Segment) -> tuple[int, Segment]:
        """Sweep a page; returns how many rows changed, and the segment with the cursor behind the page."""
        page = self.lists.of_part(segment.parts[segment.cursor_part], segment.cursor_after, ROWS_PER_PAGE)
        rows = self.messages.get_many(page.items)
        clients = self._clients(segment, rows)
        now = self.clock()

        def change(row: Message) -> Outcome | None:
            return self._change(segment, row, mailing, clients.get(row.client_id), now)

        stored = self.messages.record(mailing.id, self.bundles.change(rows.values(), change, now))
        self._queue(mailing, [outcome.after for outcome in stored], now)
        if page.next:
            return len(stored), replace(segment, cursor_after=page.next)
        return len(stored), replace(segment, cursor_part=segment.cursor_part + 1, cursor_after=None)

    def _clients(self, segment: Segment, rows: Mapping[int, Message]) -> Mapping[str, Client]:
        if segment.kind is SegmentKind.RETRY:
            return {}
        return self.clients.get_many({row.client_id for row in rows.values() if row.is_open})

    def _change(
        self, segment: Segment, row: Message, mailing: Mailing, client: Client | None, now: datetime
    ) -> Outcome | None:
        if segment.kind is SegmentKind.FOLLOW:
            return follow(row, mailing, client, now, self.policy, self.queued_grace)
        if row.status is Status.FAILED and now < mailing.end_at - END_MARGIN:
            return Outcome(row, retried(row, due_at=now + self.queued_grace))
        return None

    def _queue(self, mailing: Mailing, rows: list[Message], now: datetime) -> None:
        at_once = [row.id for row in rows if row.status is Status.QUEUED]
        waits = [(row, max(row.not_before - now, timedelta())) for row in rows if row.not_before]
        self.tickets.send_messages(mailing, [(ids, timedelta()) for ids in deal_out(at_once)] + delays(waits))
