import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from chalicelib.correlation import current_correlation_id
from chalicelib.domain.figures import QueueDepth
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


@dataclass(frozen=True)
class QueuedSegment:
    """A ticket for the planner of segments: visible from `visible_at` on."""

    ticket: SegmentTicket
    delay: timedelta
    visible_at: datetime


class FakeTicketQueue:
    """Tickets in memory (port: `TicketQueue`), refused where SQS or the format would. Thread-safe.

    Attributes:
        messages: what waits for the sender, visible or not.
        queued_segments: what waits for the planner of segments, visible or not.
        imports: ids of imports for which tickets wait.
        dead: bodies set aside, each with its cause.
    """

    def __init__(self, clock: Clock) -> None:
        self.messages: list[Queued] = []
        self.queued_segments: list[QueuedSegment] = []
        self.imports: list[str] = []
        self.dead: list[tuple[str, str]] = []
        self._clock = clock
        self._lock = threading.Lock()

    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        now = self._clock()
        for ids, delay in tickets:
            _check(delay)
            ticket = MessagesTicket(
                v=1, mailing_id=mailing.id, message_ids=list(ids), correlation_id=current_correlation_id()
            )
            with self._lock:
                self.messages.append(Queued(ticket, delay, now + delay, mailing.express))

    def send_segments(self, mailing_id: str, segments: Sequence[str], delay: timedelta = timedelta()) -> None:
        now = self._clock()
        _check(delay)
        self.queued_segments += [
            QueuedSegment(ticket, delay, now + delay)
            for ticket in (
                SegmentTicket(v=1, mailing_id=mailing_id, segment=segment, correlation_id=current_correlation_id())
                for segment in segments
            )
        ]

    def send_import(self, import_id: str) -> None:
        self.imports.append(import_id)

    def dead_letter(self, body: str, cause: str) -> None:
        self.dead.append((body, cause))

    dead_letter_import = dead_letter

    def backlog(self, *, delayed: bool = False) -> int:
        return sum(delayed or queued.visible_at <= self._clock() for queued in self.messages)

    def waiting(self) -> Mapping[str, int]:
        express = sum(queued.express for queued in self.messages)
        return {
            "send": len(self.messages) - express,
            "express": express,
            "plan": len(self.queued_segments),
            "import": len(self.imports),
        }

    def depths(self) -> Mapping[str, QueueDepth]:
        now = self._clock()
        send, express = (
            [queued.visible_at for queued in self.messages if queued.express is which] for which in (False, True)
        )
        plan = [queued.visible_at for queued in self.queued_segments]
        by_queue = {"send": send, "express": express, "plan": plan, "import": [now] * len(self.imports)}
        return {
            queue: QueueDepth(sum(at <= now for at in visible), sum(at > now for at in visible))
            for queue, visible in by_queue.items()
        }

    def deliver_messages(self, at_most: int | None = None) -> list[MessagesTicket]:
        """Take visible tickets out, oldest first."""
        with self._lock:
            taken, self.messages = _visible(self.messages, self._clock(), at_most)
        return [queued.ticket for queued in taken]

    @property
    def segments(self) -> list[SegmentTicket]:
        """List all tickets for the planner of segments, visible or not."""
        return [queued.ticket for queued in self.queued_segments]

    def deliver_segments(self, at_most: int | None = None) -> list[SegmentTicket]:
        """Take visible plan tickets out, oldest first."""
        taken, self.queued_segments = _visible(self.queued_segments, self._clock(), at_most)
        return [queued.ticket for queued in taken]

    def visible_segments(self) -> int:
        """Count the tickets that wait for the planner of segments."""
        return sum(queued.visible_at <= self._clock() for queued in self.queued_segments)

    def ids(self) -> list[int]:
        """List the messages for which tickets wait, once for each ticket that names them."""
        return [id_ for queued in self.messages for id_ in queued.ticket.message_ids]


AnyQueued = TypeVar("AnyQueued", Queued, QueuedSegment)


def _visible(
    queued: Sequence[AnyQueued], now: datetime, at_most: int | None
) -> tuple[list[AnyQueued], list[AnyQueued]]:
    """Part the first visible ones from the others."""
    taken: list[AnyQueued] = []
    left: list[AnyQueued] = []
    for one in queued:
        (taken if one.visible_at <= now and len(taken) != at_most else left).append(one)
    return taken, left


def _check(delay: timedelta) -> None:
    if not timedelta() <= delay <= MAX_TICKET_DELAY:
        raise ValueError(f"no queue can delay by {delay}")
