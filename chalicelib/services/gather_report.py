"""What the report of a day says: what was sent, which mailings ended and how, whether counters and queues are well.

Messages are counted as sent on the day when they were. That they failed, expired or were cancelled is counted on the
day when their mailing ended, because counters do not say when: so no message is counted twice, and the numbers of a
mailing are those of its statistics. Deleted mailings and tests are left out.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.mailing import MAX_DURATION, STARTED, Mailing, MailingStatus
from chalicelib.domain.report_day import ReportDay
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.ports import Clock, CounterRepository, DeadLetters, FunctionLogs, MailingRepository
from chalicelib.services.check_drift import Verdict
from chalicelib.services.read_statistics import PARALLEL_READS, Counts

logger = logging.getLogger(__name__)

PAGE = 100
LOOKED_THROUGH = 5000  # mailings of a status, those that started last; of new ones, those made last
COUNTED = 1000  # mailings whose counters are read, those that started last
LISTED = 20  # mailings that ended, those with the most messages
DRIFTING_LISTED = 10
OF_LATE = MAX_DURATION + timedelta(days=1)  # what started before that has ended
CHECKED_WITHIN = timedelta(hours=25)  # the nightly check, whenever the report is written
CHECK_FUNCTION = "drift-check"

Known = TypeVar("Known")


class Gap(StrEnum):
    """What could not be read, or not all of it."""

    MAILINGS = "mailings"
    CREATED = "created"
    CHECK = "check"
    DEAD_LETTERS = "dead_letters"


@dataclass(slots=True)
class Traffic:
    """What came about on a day.

    Attributes:
        sent: messages that were sent then.
        failed: messages of the mailings that ended then, as are `expired` and `cancelled`.
        causes: why they failed.
        ended: mailings that ended then.
        created: mailings that were made then.
    """

    sent: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    created: int = 0


@dataclass(frozen=True, slots=True)
class MailingFigures:
    """A mailing with its counters: by status, why messages failed, and what was sent on each of the two days."""

    mailing: Mailing
    counts: Counts
    causes: Counter[str]
    sent: int
    sent_before: int


@dataclass(frozen=True, slots=True)
class NightlyCheck:
    """The latest check of counters: mailings by verdict, and some of those whose counters drift."""

    at: datetime
    verdicts: Mapping[str, int]
    drifting: Sequence[str]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it.

    Attributes:
        ended: those of the mailings that ended which had the most messages.
        open: mailings that run or are paused; what is true of them when the report is written.
        check: None if there was none of late.
        dead_letters: by queue, approximately.
        uncounted: mailings of the time whose counters are not in it: there are too many, or they could not be read.
        gaps: what else could not be read; its numbers are zero or none.
    """

    day: ReportDay
    before: ReportDay
    traffic: Traffic
    traffic_before: Traffic
    ended: Sequence[MailingFigures]
    open: Sequence[MailingFigures]
    check: NightlyCheck | None
    dead_letters: Mapping[DeadQueue, int]
    uncounted: int
    gaps: frozenset[Gap]


@dataclass(frozen=True, slots=True)
class GatherReport:
    """The use case of those who want to know what a day brought."""

    mailings: MailingRepository
    counters: CounterRepository
    dead_letters: DeadLetters
    logs: FunctionLogs
    clock: Clock

    def __call__(self, day: ReportDay, stop_at: datetime) -> Report:
        """Read it; what cannot be read, or not until `stop_at`, is said to be missing."""
        before, gaps = day.before, set[Gap]()
        active = self._known(lambda: self._active(day, before, gaps), gaps, Gap.MAILINGS) or []
        figures = self._figures(active[:COUNTED], day, before, stop_at)
        ended = [each for each in figures if day.has(each.mailing.ended_at)]
        traffic = _traffic(ended, sum(each.sent for each in figures))
        ended_before = [each for each in figures if before.has(each.mailing.ended_at)]
        traffic_before = _traffic(ended_before, sum(each.sent_before for each in figures))
        created = self._known(lambda: self._created(day, before, gaps), gaps, Gap.CREATED) or Counter()
        traffic.created, traffic_before.created = created[day], created[before]
        return Report(
            day,
            before,
            traffic,
            traffic_before,
            sorted(ended, key=lambda each: (-each.counts.total, each.mailing.id))[:LISTED],
            [each for each in figures if each.mailing.status in STARTED],
            self._known(self._nightly_check, gaps, Gap.CHECK),
            self._known(self._dead_letters, gaps, Gap.DEAD_LETTERS) or {},
            len(active) - len(figures),
            frozenset(gaps),
        )

    def _active(self, day: ReportDay, before: ReportDay, gaps: set[Gap]) -> Sequence[Mailing]:
        """List the mailings that began before the end of the day and did not end before the two days."""
        statuses = (*sorted(STARTED), MailingStatus.FINISHED, MailingStatus.CANCELLED)
        since = before.begins_at - OF_LATE
        found = [
            mailing
            for status in statuses
            for mailing in self._walk(status, lambda mailing: mailing.start_at >= since, lambda: gaps.add(Gap.MAILINGS))
            if mailing.test_of is None
            and mailing.started_at is not None
            and mailing.started_at < day.ends_at
            and (mailing.ended_at is None or mailing.ended_at >= before.begins_at)
        ]
        unique = {mailing.id: mailing for mailing in found}  # one that changed meanwhile may be in two lists
        return sorted(unique.values(), key=lambda mailing: (mailing.start_at, mailing.id), reverse=True)

    def _created(self, day: ReportDay, before: ReportDay, gaps: set[Gap]) -> Counter[ReportDay]:
        latest = self._walk(None, lambda mailing: mailing.created_at >= before.begins_at, lambda: gaps.add(Gap.CREATED))
        made = [mailing.created_at for mailing in latest]
        return Counter({each: sum(map(each.has, made)) for each in (day, before)})

    def _walk(
        self, status: MailingStatus | None, is_of_late: Callable[[Mailing], bool], leave_out: Callable[[], None]
    ) -> Iterator[Mailing]:
        """Yield mailings, the latest first, as long as they are of late; `leave_out` tells of too many."""
        after = None
        for _ in range(LOOKED_THROUGH // PAGE):
            page = self.mailings.page(status, after, PAGE)
            for mailing in page.items:
                if not is_of_late(mailing):
                    return
                yield mailing
            after = page.next
            if after is None:
                return
        leave_out()

    def _figures(
        self, mailings: Sequence[Mailing], day: ReportDay, before: ReportDay, stop_at: datetime
    ) -> Sequence[MailingFigures]:
        def read(mailing: Mailing) -> MailingFigures | None:
            if self.clock() >= stop_at:
                return None
            try:
                return self._of_mailing(mailing, day, before)
            except TransientError as error:
                logger.warning("mailing not counted", extra={"mailing_id": mailing.id, "error": str(error)})
                return None

        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="report") as pool:
            return [figures for figures in pool.map(read, mailings) if figures]

    def _of_mailing(self, mailing: Mailing, day: ReportDay, before: ReportDay) -> MailingFigures:
        counts = self.counters.totals(mailing.id).counts
        causes = Counter({name.removeprefix("failed."): counts[name] for name in counts if name.startswith("failed.")})
        moments = (before.begins_at, day.begins_at, day.ends_at)
        sent_before, sent = self.counters.sent_between(mailing.id, moments)
        return MailingFigures(mailing, Counts.of(counts), +causes, sent, sent_before)

    def _nightly_check(self) -> NightlyCheck | None:
        check, drifting = None, list[str]()
        try:
            for page in self.logs.pages(CHECK_FUNCTION, ["counters "], self.clock() - CHECKED_WITHIN):
                for line in page:
                    if line.message == "counters drift":
                        drifting.append(str(line.fields.get("mailing_id")))
                    elif line.message == "counters checked":
                        verdicts = {name: number for name, number in line.fields.items() if name in set(Verdict)}
                        check, drifting = NightlyCheck(line.at, verdicts, drifting[:DRIFTING_LISTED]), []
        except NotFoundError:
            return None  # the function has never run
        return check

    def _dead_letters(self) -> Mapping[DeadQueue, int]:
        return {queue: self.dead_letters.waiting(queue) for queue in DeadQueue}

    def _known(self, read: Callable[[], Known], gaps: set[Gap], gap: Gap) -> Known | None:
        try:
            return read()
        except TransientError as error:
            logger.warning("not in the report", extra={"part": gap.value, "error": str(error)})
            gaps.add(gap)
            return None


def _traffic(ended: Sequence[MailingFigures], sent: int) -> Traffic:
    return Traffic(
        sent,
        sum(each.counts.failed for each in ended),
        sum(each.counts.expired for each in ended),
        sum(each.counts.cancelled for each in ended),
        sum((each.causes for each in ended), Counter()),
        len(ended),
    )
