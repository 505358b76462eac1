"""Requests to the provider as senders logged them, and what they make of rows that do not know of them.

A table that was restored to an earlier moment has rows as they were then: what was sent since would be sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chalicelib.domain.journal import Line
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message, Outcome, Reason, Status, ended

MESSAGE = "message requested"
SEARCHES = ((MESSAGE, "accepted"), (MESSAGE, "uncertain"))
"""What lines must contain, in the order in which they count: what was accepted ends a row whatever else there was."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request after which its message must not be sent again.

    Attributes:
        at: when it was answered.
        accepted: the provider took it; else nobody knows, and its mailing repeats no such request.
        attempts: of the message, this one included.
    """

    mailing_id: str
    message_id: int
    client_id: str
    at: datetime
    accepted: bool
    attempts: int

    @classmethod
    def read(cls, line: Line) -> "LoggedRequest | None":
        """Read a line; None if it tells of no such request."""
        told = line.fields
        if line.message != MESSAGE or not _is_for_good(told):
            return None
        return cls(
            mailing_id=str(told["mailing_id"]),
            message_id=int(told["message_id"]),
            client_id=str(told["client_id"]),
            at=line.at,
            accepted=told["status"] == Status.SENT,
            attempts=int(told["attempts"]),
        )

    def outcome(self, message: Message, mailing: Mailing) -> Outcome | None:
        """Say what it makes of a row, None if the row says as much already.

        A row that ended otherwise is `sent` all the same: it ended in a time that the restore undid.
        """
        tried = replace(message, attempts=max(message.attempts, self.attempts))
        if self.accepted and message.status is not Status.SENT:
            after = ended(tried, Status.SENT, expires_at=mailing.rows_expire_at, sent_at=self.at)
            return Outcome(message, after)
        if not self.accepted and message.is_open:
            after = ended(tried, Status.FAILED, Reason.UNCERTAIN, expires_at=mailing.rows_expire_at)
            return Outcome(message, replace(after, uncertain=max(message.uncertain, 1)))
        return None


def _is_for_good(told: Mapping[str, Any]) -> bool:
    """Tell whether the message was ended as `sent`, or as one that may have arrived."""
    return (told.get("status"), told.get("reason")) in {(Status.SENT, None), (Status.FAILED, Reason.UNCERTAIN)}
