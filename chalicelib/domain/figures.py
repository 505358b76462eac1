"""What is told of Vestnik as a whole to those who watch it: the figures of one moment."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.breaker import Breaker
from chalicelib.domain.traffic import Traffic

OTHER = "other"
ENDED_WITHIN = timedelta(hours=24)  # so long a mailing that ended is told by itself
ERROR = "scrape_error."  # before the name of a source: how often it could not be read
DEAD = "dead."  # before the name of a queue: its dead letters

ByStatus = Mapping[str, int]


class Source(StrEnum):
    """Where figures come from; each can be unreadable by itself."""

    RECORD = "record"  # what is kept of senders, the dispatcher and the nightly check
    MAILINGS = "mailings"
    MESSAGES = "messages"
    PLANNING = "planning"
    BREAKER = "breaker"
    QUEUES = "queues"
    DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True)
class Watch:
    """What the dispatcher's latest minute saw.

    Attributes:
        not_empty_since: by queue, dead-letter queues after `DEAD`: when tickets were first seen there, none between.
        told: the counts of `Record` as they were told as metrics last.
    """

    seen_at: datetime
    not_empty_since: Mapping[str, datetime] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """What the latest nightly check found: by how much counters are off, all in all; mailings by verdict."""

    checked_at: datetime
    drift: int
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rest:
    """Messages by status of all mailings that had ended before a moment, as the latest night counted them."""

    ended_before: datetime
    messages: ByStatus


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept for these figures.

    Attributes:
        counts: of senders (see `Traffic`), and of sources that could not be read (`scrape_error.…`).
        received: when the latest ticket was sent that senders have received, by queue.
        token_expires_at: when the provider's token ends; None if it does not say.
    """

    counts: Counter[str] = field(default_factory=Counter)
    received: Mapping[str, datetime] = field(default_factory=dict)
    token_expires_at: datetime | None = None
    watch: Watch | None = None
    drift: DriftCheck | None = None
    rest: Rest | None = None

    @property
    def traffic(self) -> Traffic:
        """What senders have counted."""
        return Traffic.of(self.counts)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The tickets of a queue, approximately: those that can be received, wait for their delay, are being worked on."""

    visible: int = 0
    delayed: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Planning:
    """Segments of mailings that are being planned."""

    open: int
    done: int


@dataclass(frozen=True, slots=True)
class MailingFigures:
    """How mailings fare that should run.

    Attributes:
        running, paused: how many there are.
        overdue: how many should have started by now, and have not.
        overdue_since: when the first of them should have.
        unplanned: how many have started and are not planned yet.
        unplanned_since: when the first of them started.
    """

    running: int = 0
    paused: int = 0
    overdue: int = 0
    overdue_since: datetime | None = None
    unplanned: int = 0
    unplanned_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it at one moment; what could not be read is None, and its source `unknown`.

    Attributes:
        unwritten: counts of this process that are not in the record yet.
        messages: by mailing, and by status; the last key may be `OTHER`.
        queues: of tickets, by name.
        dead_letters: by the name of their queue.
    """

    at: datetime
    unknown: frozenset[Source]
    unwritten: Counter[str]
    record: Record | None
    mailings: MailingFigures | None
    messages: Mapping[str, ByStatus] | None
    planning: Planning | None
    breaker: Breaker | None
    queues: Mapping[str, QueueDepth] | None
    dead_letters: Mapping[str, int] | None

    def errors(self) -> Mapping[str, int]:
        """Say how often each source could not be read, as far as this process knows."""
        counts = self.unwritten + (self.record.counts if self.record else Counter())
        return {source.value: counts[f"{ERROR}{source.value}"] for source in Source}

    def queue_ages(self) -> Mapping[str, timedelta]:
        """Say how old the oldest ticket of each queue is at most.

        SQS serves about the oldest first: whatever waits was sent after what was received last, and after the
        dispatcher has last seen the queue empty.
        """
        if self.record is None or self.queues is None:
            return {}
        received = self.record.received
        return {
            queue: self._age(queue, received.get(queue)) if depth.visible else timedelta()
            for queue, depth in self.queues.items()
        }

    def dead_letter_ages(self) -> Mapping[str, timedelta]:
        """Say since when each dead-letter queue has not been empty, by the dispatcher's minutes."""
        if self.record is None or self.dead_letters is None:
            return {}
        return {queue: self._age(f"{DEAD}{queue}") if lie else timedelta() for queue, lie in self.dead_letters.items()}

    def _age(self, queue: str, received: datetime | None = None) -> timedelta:
        watch = self.record.watch if self.record else None
        empty_until = watch.not_empty_since.get(queue, watch.seen_at) if watch else None
        since = max(filter(None, (empty_until, received)), default=self.at)
        return max(self.at - since, timedelta())

    def watched(self) -> Watch | None:
        """Say what the next minute has to know of this one; None if nobody knows what the one before knew."""
        if self.record is None:
            return None
        before = self.record.watch.not_empty_since if self.record.watch else {}
        tickets = {queue: depth.visible for queue, depth in (self.queues or {}).items()}
        tickets |= {f"{DEAD}{queue}": letters for queue, letters in (self.dead_letters or {}).items()}
        since = {queue: before.get(queue, self.at) for queue, waiting in tickets.items() if waiting}
        unseen = {queue: moment for queue, moment in before.items() if queue not in tickets}
        return Watch(self.at, unseen | since, Counter(self.record.counts))

    def since_told(self) -> Counter[str]:
        """Say what was counted since the dispatcher's latest minute; nothing in its first one."""
        if self.record is None or self.record.watch is None:
            return Counter()
        return self.record.counts - self.record.watch.told


def age(since: datetime | None, now: datetime) -> timedelta:
    """Say how long ago something was; nought if it never was."""
    return timedelta() if since is None else max(now - since, timedelta())
