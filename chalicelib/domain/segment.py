"""A segment: a share of a mailing's audience that one worker plans, page by page."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where in a segment the next page begins: the index of the part, and the last client read of it."""

    part: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One share of the audience.

    `parts` are read in their order. `due_at` is the moment after which somebody must look at it again, None when
    it is done.
    """

    mailing_id: str
    segment: str
    parts: tuple[str, ...]
    cursor: Cursor = Cursor()
    due_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def done(self) -> bool:
        """Tell whether each client of it has a row."""
        return self.due_at is None


def cut(parts: tuple[str, ...], segments: int) -> list[tuple[str, ...]]:
    """Deal parts out to at most so many segments, as evenly as they go, none empty."""
    shares = [parts[start::segments] for start in range(min(segments, len(parts)))]
    return [share for share in shares if share]
