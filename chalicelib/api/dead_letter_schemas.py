from typing import Annotated, Literal, Self

from pydantic import Field
from typing_extensions import TypeAliasType

from chalicelib.api.schemas import LimitQuery, ShownMoment, WireModel
from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.services.redrive_dead_letters import Redriven

MAX_IDS = 500

QueueName = TypeAliasType("QueueName", Literal["plan", "send", "express", "schedule", "import"])
LetterId = Annotated[str, Field(min_length=1, max_length=100)]


def queues(name: QueueName | None) -> tuple[DeadQueue, ...]:
    """Tell which queues are meant: the one that is named, or all."""
    return (DeadQueue(name),) if name else tuple(DeadQueue)


class ListDeadLettersQuery(LimitQuery):
    """Which dead letters."""

    queue: QueueName | None = Field(default=None, description="only those of this dead-letter queue")


class DeadLetterResponse(WireModel):
    """A ticket that failed. Its body is not shown: if it cannot be read, it may hold anything, phones and texts too."""

    id: str
    queue: QueueName
    cause: str
    sent_at: ShownMoment = Field(description="when it was queued, or set aside because it cannot be read")
    mailing_id: str | None
    message_ids: list[int]
    segment: str | None
    body_bytes: int

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """Show a dead letter."""
        about = letter.ids
        return cls(
            id=letter.id,
            queue=letter.queue.value,
            cause=letter.cause,
            sent_at=letter.sent_at,
            mailing_id=about.mailing_id,
            message_ids=list(about.message_ids),
            segment=about.segment,
            body_bytes=len(letter.body.encode()),
        )


class DeadLettersResponse(WireModel):
    """Dead letters, oldest first. There is no next page: SQS has no order in which one could begin."""

    items: list[DeadLetterResponse]
    next: None


class RedriveRequest(WireModel):
    """What is redriven: everything, or the letters of one queue, or of them those with these ids."""

    queue: QueueName | None = None
    ids: Annotated[list[LetterId], Field(min_length=1, max_length=MAX_IDS)] | None = None


class RedriveResponse(WireModel):
    """How many letters were put back, and how many of those asked for were left."""

    redriven: int
    left: int
    reasons: dict[str, int] = Field(
        description="letters left by reason: not_found, not_taken, no_mailing, no_time, not_looked_at (approximately)"
    )

    @classmethod
    def of(cls, done: Redriven) -> Self:
        """Show what was done."""
        reasons = {reason.value: number for reason, number in done.left.items() if number}
        return cls(redriven=done.redriven, left=done.left.total(), reasons=reasons)
