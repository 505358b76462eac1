"""A segment: a share of a mailing's audience that one worker plans, page by page."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """One share of the audience.

    Attributes:
        parts: of the audience, read in their order.
        cursor_part: the index of the part at which the next page begins.
        cursor_after: the last client read of that part.
        due_at: the moment after which somebody must look at it again; None once each client of it has a row.
    """

    mailing_id: str
    segment: str
    parts: tuple[str, ...]
    cursor_part: int = 0
    cursor_after: str | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def done(self) -> bool:
        """Tell whether each client of it has a row."""
        return self.due_at is None


def cut(parts: tuple[str, ...], segments: int) -> list[tuple[str, ...]]:
    """Deal parts out to at most so many segments, as evenly as they go, none empty."""
    return [parts[start::segments] for start in range(min(segments, len(parts)))]
