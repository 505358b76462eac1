from typing import Literal, Self

from pydantic import Field
from typing_extensions import TypeAliasType

from chalicelib.api.schemas import PageQuery, ShownId, ShownMoment, WireModel
from chalicelib.domain.message import Message

MessageStatus = TypeAliasType("MessageStatus", Literal["queued", "deferred", "sent", "failed", "expired", "cancelled"])


class ListMessagesQuery(PageQuery):
    """Which messages of a mailing."""

    status: MessageStatus | None = Field(default=None, description="only messages of this status")


class MessageResponse(WireModel):
    """A message: one client in one mailing."""

    id: int = Field(examples=[4503599627370496])
    mailing_id: ShownId
    client_id: ShownId
    status: MessageStatus
    reason: str | None = Field(
        description="why it is deferred, failed or cancelled; null: cancelled with its mailing or its client"
    )
    attempts: int
    created_at: ShownMoment
    sent_at: ShownMoment | None = Field(description="when the provider accepted it")
    due_at: ShownMoment | None = Field(description="open messages: no request before it, or when it is looked at again")
    last_error: str | None

    @classmethod
    def of(cls, message: Message) -> Self:
        """Show a message."""
        return cls(
            id=message.id,
            mailing_id=message.mailing_id,
            client_id=message.client_id,
            status=message.status.value,
            reason=message.reason.value if message.reason else None,
            attempts=message.attempts,
            created_at=message.created_at,
            sent_at=message.sent_at,
            due_at=message.not_before or message.due_at,
            last_error=message.last_error,
        )
