"""What the provider said to one request, in our words. The adapter translates; the rules decide."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class AnswerKind(StrEnum):
    """How a request ended."""

    ACCEPTED = "accepted"
    BROKEN = "broken"  # an answer that says nothing: other code, no JSON, wrong shape, too large, a redirect
    REFUSED = "refused"  # for good: this message, whenever and however often
    UNAUTHORIZED = "unauthorized"  # our token: a fault of ours, not of the message
    BUSY = "busy"
    UNREACHABLE = "unreachable"  # the request never got there
    UNCERTAIN = "uncertain"  # it may have got there


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or the lack of one.

    Attributes:
        error: a short name from a small set (`http_503`, `timeout`, `reset`), None when accepted. It is counted.
        retry_after: how long the provider asks us to wait.
        duration_ms: from the first byte out to the last byte in.
    """

    kind: AnswerKind
    error: str | None = None
    status: int | None = None
    retry_after: timedelta | None = None
    duration_ms: int = 0
