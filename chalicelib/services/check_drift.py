"""Recount a mailing: do its counters say what its rows do?

A false alarm would be worse than none, and a false repair worse than that. So a difference counts as drift only when
two looks in a row see the same: the same mailing, the same counters, and the same rows in the same versions. Then
nothing was written between the looks, and counters that were read there belong to these rows. What else could deceive:

- A row that was just planned may not be in the index yet: a mailing that is being planned is busy, and for rows that
  are missing soon after planning the next look waits. No other write moves a row in that index.
- A mailing that starts spreads its rows over more partitions than it had: it is read anew for each look.
- Rows age out 60 days after the start, counters do not: after that nothing is compared.
- Counters of errors and of minutes stand in no row: they are left out, as is whatever the rows do not know.
- Somebody else repairs meanwhile: the number of repairs is a part of what a look sees, and the write's condition.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.drift import Census, ComparedCounter, compare, missing_rows
from chalicelib.domain.mailing import STARTED, Mailing
from chalicelib.ports import (
    Clock,
    CounterRepository,
    MailingCounters,
    MailingRepository,
    MessageLists,
    MessageRepository,
)
from chalicelib.services.existing import existing_mailing

LOOKS = 4
PAUSE = timedelta(seconds=1)  # between two looks: what is on its way has arrived by then
INDEX_LAG = timedelta(seconds=15)  # far above what DynamoDB usually needs, which is below a second
ROWS_PER_PAGE = 500
PARALLEL_READS = 8  # below the ten connections that a boto3 client keeps


class Verdict(StrEnum):
    """What a recount can say. `busy`: too much changed to be sure; `unchecked`: it could not be read to the end."""

    RIGHT = "right"
    DRIFT = "drift"
    BUSY = "busy"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a recount found.

    Attributes:
        detail: in words, why there is no certainty; empty if there is.
        counters: as they were compared; only of the verdicts `right` and `drift`.
        repairs: how often the counters had been repaired by then.
    """

    mailing_id: str
    verdict: Verdict
    detail: str = ""
    counters: tuple[ComparedCounter, ...] = ()
    repairs: int = 0

    @property
    def differences(self) -> dict[str, int]:
        """By how much each counter that differs is too high."""
        return {counter.name: counter.difference for counter in self.counters if counter.difference}


@dataclass(frozen=True, slots=True)
class _Sight:
    """Counters that did not change while rows were read, those rows, and the mailing as it was before."""

    mailing: Mailing
    counters: MailingCounters
    census: Census

    @property
    def compared(self) -> tuple[ComparedCounter, ...]:
        return compare(self.counters.counts, self.census)

    @property
    def drifts(self) -> bool:
        return any(counter.difference for counter in self.compared)


class _TimeIsUpError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class CheckDrift:
    """Recounts one mailing. It only reads."""

    mailings: MailingRepository
    lists: MessageLists
    messages: MessageRepository
    counters: CounterRepository
    clock: Clock
    sleep: Callable[[float], None]

    def __call__(self, mailing_id: str, stop_at: datetime) -> DriftReport:
        """Look until there is certainty, at most four times and until `stop_at`.

        Raises:
            NotFoundError: there is no such mailing, or it was deleted.
        """
        before = None
        for _ in range(LOOKS):
            mailing = existing_mailing(self.mailings, mailing_id)
            if self.clock() >= mailing.rows_expire_at:
                return DriftReport(mailing_id, Verdict.UNCHECKED, "its rows have aged out; nothing can be recounted")
            if mailing.status in STARTED and mailing.planned_at is None:
                return DriftReport(mailing_id, Verdict.BUSY, "it is being planned, or its failed messages queued again")
            try:
                seen = self._look(mailing, stop_at)
            except _TimeIsUpError:
                return DriftReport(mailing_id, Verdict.UNCHECKED, "the time was over before all rows were read")
            lag = self._index_lag(seen) if seen else timedelta()
            if seen and (not seen.drifts or (seen == before and not lag)):
                verdict = Verdict.DRIFT if seen.drifts else Verdict.RIGHT
                return DriftReport(mailing_id, verdict, "", seen.compared, seen.counters.repairs)
            before = seen
            self._pause(max(PAUSE, lag), stop_at)
        return DriftReport(mailing_id, Verdict.BUSY, "its rows and counters kept changing")

    def _look(self, mailing: Mailing, stop_at: datetime) -> _Sight | None:
        """Read counters, rows, and counters again; None if the counters have changed meanwhile."""
        before = self.counters.totals(mailing.id)
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="recount") as pool:
            parts = pool.map(lambda part: self._recount(part, stop_at), mailing.message_parts)
            census = sum(parts, Census())
        after = self.counters.totals(mailing.id)
        return _Sight(mailing, after, census) if before == after else None

    def _recount(self, part: str, stop_at: datetime) -> Census:
        census, after = Census(), None
        while True:
            if self.clock() >= stop_at:
                raise _TimeIsUpError
            page = self.lists.of_part(part, after, ROWS_PER_PAGE)
            census += Census.of(self.messages.get_many(page.items).values())
            after = page.next
            if after is None:
                return census

    def _index_lag(self, seen: _Sight) -> timedelta:
        """Tell how much longer rows may be missing because the index does not show them yet."""
        planned_at = seen.mailing.planned_at or seen.mailing.updated_at
        left = planned_at + INDEX_LAG - self.clock()
        return max(left, timedelta()) if missing_rows(seen.compared) > 0 else timedelta()

    def _pause(self, time: timedelta, stop_at: datetime) -> None:
        left = max(stop_at - self.clock(), timedelta())
        self.sleep(min(time, left).total_seconds())
