"""Dead letters: tickets that failed, what they are about, and why they lie there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.domain.identity import SEGMENT, ULID
from chalicelib.domain.tickets import ImportTicket, MessagesTicket, SegmentTicket, StartEvent, read
from chalicelib.errors import PermanentError

MAX_RECEIVES = 5  # of the queues' redrive policies; a packaging test compares them
MAX_CAUSE = 500

AnyContent = MessagesTicket | SegmentTicket | StartEvent | ImportTicket


class DeadQueue(StrEnum):
    """A dead-letter queue, by what its tickets were for."""

    PLAN = "plan"
    SEND = "send"
    EXPRESS = "express"
    SCHEDULE = "schedule"
    IMPORT = "import"


SHAPES: Mapping[DeadQueue, type[AnyContent]] = {
    DeadQueue.PLAN: SegmentTicket,
    DeadQueue.SEND: MessagesTicket,
    DeadQueue.EXPRESS: MessagesTicket,
    DeadQueue.SCHEDULE: StartEvent,
    DeadQueue.IMPORT: ImportTicket,
}

_FAULT = f"failed by a fault of ours, or as the function died, each of {MAX_RECEIVES} times that it was received"
_SENDER_FAULT = (
    f"{_FAULT}; see the sender's log lines `tickets could not be begun`, `delivery failed`, "
    "`outcomes could not be recorded`, `rows could not be given back`, `tickets could not be handed on`"
)
FAULTS: Mapping[DeadQueue, str] = {
    DeadQueue.PLAN: f"{_FAULT}; see plan-segment's log line `segment not planned; its ticket comes again`",
    DeadQueue.SEND: _SENDER_FAULT,
    DeadQueue.EXPRESS: _SENDER_FAULT,
    DeadQueue.SCHEDULE: "EventBridge Scheduler could not call the planner",
    DeadQueue.IMPORT: f"{_FAULT}; see importer's log line `import interrupted; its ticket comes again`",
}


@dataclass(frozen=True, slots=True)
class DeadLetterIds:
    """What a dead letter is about, as far as that can be told: nothing else of its body is ever shown."""

    mailing_id: str | None = None
    message_ids: Sequence[int] = ()
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A ticket in a dead-letter queue.

    Attributes:
        id: of the queue's message; it stays the same as long as the letter lies there.
        body: what it says; may be anything.
        receipt: by which whoever received the letter last gives it back or deletes it.
        sent_at: when it was queued, or set aside.
        noted: the cause that whoever put it there gave along.
    """

    id: str
    queue: DeadQueue
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    sent_at: datetime
    noted: str | None = None

    @property
    def content(self) -> AnyContent | None:
        """What the letter says; None where that cannot be read."""
        try:
            return read(SHAPES[self.queue], self.body)
        except PermanentError:
            return None

    @property
    def cause(self) -> str:
        """Why it lies there, in at most 500 characters."""
        if self.noted:
            return self.noted[:MAX_CAUSE]
        try:
            read(SHAPES[self.queue], self.body)
        except PermanentError as error:
            return str(error)[:MAX_CAUSE]
        return FAULTS[self.queue]

    @property
    def ids(self) -> DeadLetterIds:
        """What it is about.

        An unreadable body may name its mailing and segment all the same: they are told where they look like ours.
        Numbers could as well be phones, and are told of readable tickets only.
        """
        fields = _fields(self.body)
        mailing_id, segment = fields.get("mailing_id"), fields.get("segment")
        content = self.content
        return DeadLetterIds(
            mailing_id if isinstance(mailing_id, str) and ULID.fullmatch(mailing_id) else None,
            content.message_ids if isinstance(content, MessagesTicket) else (),
            segment if isinstance(segment, str) and SEGMENT.fullmatch(segment) else None,
        )


def _fields(body: str) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
