"""Read the figures of this moment. What cannot be read is left out and counted, and takes nothing else with it."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.figures import (
    ENDED_WITHIN,
    OTHER,
    ByStatus,
    Figures,
    MailingFigures,
    Planning,
    Record,
    Source,
)
from chalicelib.domain.mailing import MAX_DURATION, STARTED, Mailing, MailingStatus
from chalicelib.domain.message import Status
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import TransientError
from chalicelib.ports import (
    Clock,
    ControlRepository,
    CounterRepository,
    DeadLetters,
    FigureRepository,
    MailingRepository,
    SegmentRepository,
    TicketQueue,
)
from chalicelib.services.tally import Tally

logger = logging.getLogger(__name__)

LISTED = 100  # mailings that are told by themselves: those that started last
OVERDUE_AFTER = timedelta(minutes=2)  # EventBridge Scheduler may be a minute late, the dispatcher another
OVERDUE_COUNTED = 100
PATIENCE_SECONDS = 8.0  # below the ten seconds that a scrape has by itself
PARALLEL_READS = 8  # below the ten connections that a boto3 client keeps
PAGE = 100
EPOCH = datetime.fromtimestamp(0, UTC)
_ENDED = (MailingStatus.FINISHED, MailingStatus.CANCELLED)

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class _Mailings:
    """Those that are open, those that ended since the rest was counted, those that are late; without tests."""

    open: Sequence[Mailing]
    ended: Sequence[Mailing]
    overdue: Sequence[Mailing]

    def figures(self) -> MailingFigures:
        unplanned = [mailing.started_at or mailing.start_at for mailing in self.open if mailing.planned_at is None]
        running = sum(mailing.status is MailingStatus.RUNNING for mailing in self.open)
        return MailingFigures(
            running=running,
            paused=len(self.open) - running,
            overdue=len(self.overdue),
            overdue_since=min((mailing.start_at for mailing in self.overdue), default=None),
            unplanned=len(unplanned),
            unplanned_since=min(unplanned, default=None),
        )


@dataclass(frozen=True, slots=True)
class ReadFigures:
    """The use case of those who watch: `/metrics`, and the dispatcher's minute."""

    figures: FigureRepository
    mailings: MailingRepository
    counters: CounterRepository
    segments: SegmentRepository
    control: ControlRepository
    tickets: TicketQueue
    dead_letters: DeadLetters
    tally: Tally
    clock: Clock
    patience_seconds: float = PATIENCE_SECONDS

    def __call__(self) -> Figures:
        """Ask all sources at once; whoever fails, or has not answered in time, is unknown. Never raises."""
        now = self.clock()
        pool = ThreadPoolExecutor(len(Source), thread_name_prefix="figures")
        try:
            record = pool.submit(self.figures.read)
            mailings = pool.submit(lambda: self._mailings(_if_read(record), now))
            messages = pool.submit(lambda: self._messages(mailings.result(), _if_read(record), now))
            planning = pool.submit(lambda: self._planning(mailings.result()))
            breaker = pool.submit(self.control.breaker)
            queues = pool.submit(self.tickets.depths)
            dead_letters = pool.submit(self._dead_letters)
            asked: list[Future[Any]] = [record, mailings, messages, planning, breaker, queues, dead_letters]
            wait(asked, self.patience_seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        answers = _Answers(self.tally)
        kept = answers.of(Source.RECORD, record)
        found = answers.of(Source.MAILINGS, mailings)
        known = Figures(
            at=now,
            record=kept,
            mailings=found.figures() if found else None,
            messages=answers.of(Source.MESSAGES, messages),
            planning=answers.of(Source.PLANNING, planning),
            breaker=answers.of(Source.BREAKER, breaker),
            queues=answers.of(Source.QUEUES, queues),
            dead_letters=answers.of(Source.DEAD_LETTERS, dead_letters),
            unknown=frozenset(answers.unknown),
            unwritten=self.tally.unwritten,
        )
        self.tally.write()
        return known

    def _mailings(self, record: Record | None, now: datetime) -> _Mailings:
        since = _ended_since(record, now)
        return _Mailings(
            [mailing for status in sorted(STARTED) for mailing in self._newest(status, EPOCH)],
            [
                mailing
                for status in _ENDED
                for mailing in self._newest(status, since - MAX_DURATION if since > EPOCH else EPOCH)
                if _ended_at(mailing) >= since
            ],
            self.mailings.starting_until(now - OVERDUE_AFTER, OVERDUE_COUNTED),
        )

    def _newest(self, status: MailingStatus, started_since: datetime) -> Iterator[Mailing]:
        after = None
        while True:
            page = self.mailings.page(status, after, PAGE)
            for mailing in page.items:
                if mailing.start_at < started_since:
                    return  # the latest start comes first
                if mailing.test_of is None:
                    yield mailing
            after = page.next
            if after is None:
                return

    def _messages(self, mailings: _Mailings, record: Record | None, now: datetime) -> Mapping[str, ByStatus]:
        latest = [mailing for mailing in mailings.ended if _ended_at(mailing) >= now - ENDED_WITHIN]
        told = sorted([*mailings.open, *latest], key=lambda mailing: (mailing.start_at, mailing.id), reverse=True)
        told = told[:LISTED]
        counted = dict(self._counted([*mailings.open, *mailings.ended]))
        by_mailing: dict[str, ByStatus] = {mailing.id: counted.pop(mailing.id) for mailing in told}
        if record is None:
            return by_mailing
        other: Counter[str] = Counter(record.rest.messages if record.rest else {})
        for counts in counted.values():
            other.update(counts)
        return by_mailing | {OTHER: by_status(other)}

    def _counted(self, mailings: Sequence[Mailing]) -> Iterator[tuple[str, ByStatus]]:
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            asked = [(mailing.id, pool.submit(self.counters.totals, mailing.id)) for mailing in mailings]
            try:
                for id_, totals in asked:
                    yield id_, by_status(totals.result().counts)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _planning(self, mailings: _Mailings) -> Planning:
        planned = [
            segment.done
            for mailing in mailings.open[:LISTED]
            if mailing.planned_at is None
            for segment in self.segments.of_mailing(mailing.id)
            if segment.kind is SegmentKind.PLAN
        ]
        return Planning(open=len(planned) - sum(planned), done=sum(planned))

    def _dead_letters(self) -> Mapping[str, int]:
        return {queue.value: self.dead_letters.waiting(queue) for queue in DeadQueue}


class _Answers:
    """What came of the questions; an error that several of them met with counts once."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._errors: list[Exception] = []
        self.unknown: set[Source] = set()

    def of(self, source: Source, asked: "Future[Known]") -> Known | None:
        try:
            return asked.result(timeout=0)
        except Exception as error:
            self.unknown.add(source)
            if not any(error is known for known in self._errors):
                self._errors.append(error)
                self._tally.unreadable(source)
                foreseen = isinstance(error, TransientError | TimeoutError)
                logger.warning(
                    "figures not read",
                    extra={"source": source.value, "error": repr(error)},
                    exc_info=None if foreseen else error,
                )
            return None


def by_status(counts: Mapping[str, int]) -> ByStatus:
    """Pick the counts by status out of all counters."""
    return {status.value: counts.get(status.value, 0) for status in Status}


def _ended_at(mailing: Mailing) -> datetime:
    return mailing.finished_at or mailing.updated_at


def _ended_since(record: Record | None, now: datetime) -> datetime:
    """Say since when mailings that ended are told: what is older is in the rest, if that is known at all."""
    if record is None:
        return now - ENDED_WITHIN
    return record.rest.ended_before if record.rest else EPOCH


def _if_read(record: "Future[Record]") -> Record | None:
    return None if record.exception() else record.result()
