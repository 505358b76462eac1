import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import MAX_TICKET_DELAY
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket
from chalicelib.ports import Clock


@dataclass(frozen=True)
class Queued:
    """A ticket for the sender: visible from `visible_at` on."""

    ticket: MessagesTicket
    delay: timedelta
    visible_at: datetime
    express: bool


class FakeTicketQueue:
    """Tickets in memory (port: `TicketQueue`), refused where SQS or the format would. Thread-safe.

    Attributes:
        messages: what waits for the sender, visible or not.
        segments: what waits for the planner.
        dead: bodies set aside, each with its cause.
    """

    def __init__(self, clock: Clock) -> None:
        self.messages: list[Queued] = []
        self.segments: list[SegmentTicket] = []
        self.dead: list[tuple[str, str]] = []
        self._clock = clock
        self._lock = threading.Lock()

    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        now = self._clock()
        for ids, delay in tickets:
            if not timedelta() <= delay <= MAX_TICKET_DELAY:
                raise ValueError(f"no queue can delay by {delay}")
            ticket = MessagesTicket(v=1, mailing_id=mailing.id, message_ids=list(ids))
            with self._lock:
                self.messages.append(Queued(ticket, delay, now + delay, mailing.express))

    def send_segments(self, mailing_id: str, segments: Sequence[str]) -> None:
        self.segments += [SegmentTicket(v=1, mailing_id=mailing_id, segment=segment) for segment in segments]

    def dead_letter(self, body: str, cause: str) -> None:
        self.dead.append((body, cause))

    def backlog(self) -> int:
        return sum(queued.visible_at <= self._clock() for queued in self.messages)

    def deliver_messages(self, at_most: int | None = None) -> list[MessagesTicket]:
        """Take visible tickets out, oldest first."""
        with self._lock:
            visible = [queued for queued in self.messages if queued.visible_at <= self._clock()][:at_most]
            self.messages = [queued for queued in self.messages if queued not in visible]
        return [queued.ticket for queued in visible]

    def deliver_segments(self) -> list[SegmentTicket]:
        """Take all plan tickets out."""
        taken, self.segments = self.segments, []
        return taken

    def ids(self) -> list[int]:
        """List the messages for which tickets wait, once for each ticket that names them."""
        return [id_ for queued in self.messages for id_ in queued.ticket.message_ids]
