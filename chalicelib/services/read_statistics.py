"""Statistics: how far mailings are, from their counters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Status
from chalicelib.domain.segment import Segment, SegmentKind
from chalicelib.ports import CounterRepository, MailingCounters, MailingRepository, Page, SegmentRepository
from chalicelib.services.existing import existing_mailing

MINUTES = 120
PARALLEL_READS = 8  # below the ten connections that a boto3 client keeps
_LISTED = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages by status."""

    queued: int = 0
    deferred: int = 0
    sent: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0

    @classmethod
    def of(cls, counters: Counter[str]) -> "Counts":
        """Pick the counts by status out of all counters."""
        return cls(**{status.value: counters[status.value] for status in Status})

    @property
    def total(self) -> int:
        """All messages: as many as clients were planned."""
        return self.queued + self.deferred + self.sent + self.failed + self.expired + self.cancelled


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts of all mailings that are not deleted, and one page of them with their own."""

    totals: Counts
    mailings: Page[tuple[Mailing, Counts]]


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far the rows have followed the latest change that was ordered for them: `done` of `segments`."""

    kind: SegmentKind
    segments: int
    done: int

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> "SweepProgress | None":
        """Find the latest sweep among the segments of a mailing, None if there is none."""
        sweeps = [segment for segment in segments if segment.kind is not SegmentKind.PLAN]
        latest = max((segment.sweep for segment in sweeps), default=None)
        shares = [segment for segment in sweeps if segment.sweep == latest]
        return cls(shares[0].kind, len(shares), sum(segment.done for segment in shares)) if shares else None


@dataclass(frozen=True, slots=True)
class MailingStatistics:
    """Everything that is counted of one mailing.

    Attributes:
        counters: by name, as `domain.message.counter_changes` names them.
        per_minute: the latest minutes (UTC) in which something was sent, in order of time.
        segments_planned: of `mailing.segments`.
    """

    mailing: Mailing
    counters: MailingCounters
    per_minute: Sequence[tuple[datetime, Counter[str]]]
    segments_planned: int
    sweep: SweepProgress | None

    def under(self, prefix: str) -> Mapping[str, int]:
        """List the counters below a name (`deferred`: `retry`, `window`, …) that are not zero, highest first."""
        counts = self.counters.counts
        below = {name.removeprefix(f"{prefix}."): counts[name] for name in counts if name.startswith(f"{prefix}.")}
        return {name: count for name, count in Counter(below).most_common() if count}


@dataclass(frozen=True, slots=True)
class ReadStatistics:
    """The use cases of those who ask how it goes."""

    mailings: MailingRepository
    counters: CounterRepository
    segments: SegmentRepository

    def overview(self, after: str | None, limit: int) -> Overview:
        """Count messages over all mailings, and of each mailing of one page.

        The totals are read anew each time: one query per mailing, eight at once.
        """
        counts = self._counts_of_all()
        page = self.mailings.page(None, after, limit)
        listed = [(mailing, counts.get(mailing.id, Counts())) for mailing in page.items]
        totals = Counter[str]()
        for each in counts.values():
            totals.update({status.value: getattr(each, status.value) for status in Status})
        return Overview(Counts.of(totals), Page(listed, page.next))

    def of_mailing(self, mailing_id: str) -> MailingStatistics:
        """Read everything that is counted of a mailing.

        Raises:
            NotFoundError: there is none, or it was deleted.
        """
        mailing = existing_mailing(self.mailings, mailing_id)
        segments = self.segments.of_mailing(mailing_id)
        return MailingStatistics(
            mailing,
            self.counters.totals(mailing_id),
            self.counters.per_minute(mailing_id, MINUTES),
            sum(segment.done for segment in segments if segment.kind is SegmentKind.PLAN),
            SweepProgress.of(segments),
        )

    def counts_of(self, mailing_ids: Sequence[str]) -> Mapping[str, Counts]:
        """Count the messages of each of these mailings: one query per mailing, eight at once."""
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            totals = pool.map(self.counters.totals, mailing_ids)
            return {id_: Counts.of(counters.counts) for id_, counters in zip(mailing_ids, totals, strict=True)}

    def _counts_of_all(self) -> Mapping[str, Counts]:
        ids: list[str] = []
        page = self.mailings.page(None, None, _LISTED)
        ids += [mailing.id for mailing in page.items]
        while page.next:
            page = self.mailings.page(None, page.next, _LISTED)
            ids += [mailing.id for mailing in page.items]
        return self.counts_of(ids)
