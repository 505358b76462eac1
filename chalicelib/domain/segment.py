"""Segments: shares of what touches many rows of a mailing, each worked off page by page by one worker at a time.

Planning reads a share of the audience and makes rows. A sweep reads a share of the rows and has them follow a change
of the mailing, or queues the failed ones again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SegmentKind(StrEnum):
    """What is done with a share."""

    PLAN = "plan"
    FOLLOW = "follow"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Segment:
    """One share.

    Attributes:
        segment: its name; begins with its kind.
        parts: of the audience (to plan), or of the index of the mailing's messages (to sweep); read in their order.
        cursor_part: the index of the part at which the next page begins.
        cursor_after: the last client, or message, read of that part.
        sweep: of a sweep, the version of the mailing that ordered it.
        due_at: the moment after which somebody must look at it again; None once it is done.
    """

    mailing_id: str
    segment: str
    parts: tuple[str, ...]
    cursor_part: int = 0
    cursor_after: str | None = None
    sweep: int = 0
    due_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def kind(self) -> SegmentKind:
        """What is done with it."""
        return SegmentKind(self.segment.partition("#")[0])

    @property
    def done(self) -> bool:
        """Tell whether nothing of it is left to do."""
        return self.due_at is None


def cut(parts: tuple[str, ...], segments: int) -> list[tuple[str, ...]]:
    """Deal parts out to at most so many segments, as evenly as they go, none empty."""
    return [parts[start::segments] for start in range(min(segments, len(parts)))]
