from collections.abc import Sequence
from datetime import datetime

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.segment import Segment
from chalicelib.ports import MailingRepository


class FakeSegmentRepository:
    """Segments in memory (port: `SegmentRepository`); `mailings` is changed together with them."""

    def __init__(self, mailings: MailingRepository, *segments: Segment) -> None:
        self.stored = {(segment.mailing_id, segment.segment): segment for segment in segments}
        self._mailings = mailings

    def change_mailing(self, before: Mailing, after: Mailing, segments: Sequence[Segment]) -> None:
        self._mailings.replace(before, after)
        self.stored |= {(segment.mailing_id, segment.segment): segment for segment in segments}

    def get(self, mailing_id: str, segment: str) -> Segment | None:
        return self.stored.get((mailing_id, segment))

    def of_mailing(self, mailing_id: str) -> Sequence[Segment]:
        return [segment for segment in self.stored.values() if segment.mailing_id == mailing_id]

    def save(self, segment: Segment) -> None:
        key = (segment.mailing_id, segment.segment)
        if segment.done or (key in self.stored and not self.stored[key].done):
            self.stored[key] = segment

    def due(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        due = [segment for segment in self.stored.values() if segment.due_at and segment.due_at <= before]
        return [(segment.mailing_id, segment.segment) for segment in due[:limit]]
