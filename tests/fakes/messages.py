import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count, pairwise

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import UNLEASED, Message, Outcome, Status, counter_changes, message_id
from chalicelib.errors import StaleError
from chalicelib.ports import DueMessage, MailingCounters
from tests.fakes.mailings import FakeMailingRepository

DUE_SHARDS = 4


class FakeMessageRepository:
    """Rows and their counters in memory (ports: `MessageRepository`, `CounterRepository`). Thread-safe.

    A service holds rows as it read them; whatever it did not write with the right version is not stored.
    """

    def __init__(self, *messages: Message, due_shards: int = DUE_SHARDS) -> None:
        self.stored: dict[int, Message] = {}
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.repairs: Counter[str] = Counter()
        self.minutes: dict[str, dict[datetime, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self._due_shards = due_shards
        self.mailings = FakeMailingRepository()  # where `plan_alone` stores
        self._versions = count(1)
        self._lock = threading.RLock()
        for message in messages:
            self.add(message)

    def add(self, message: Message) -> None:
        """Put a row as it is, counted as if it had always been so."""
        self.stored[message.id] = message
        self.counts[message.mailing_id].update(recount([message]))

    def of_mailing(self, mailing_id: str) -> list[Message]:
        return [message for message in self.stored.values() if message.mailing_id == mailing_id]

    def plan(self, mailing: Mailing, messages: Sequence[Message]) -> Sequence[Message]:
        with self._lock:
            return [self._plan(mailing, message) for message in messages]

    def _plan(self, mailing: Mailing, message: Message) -> Message:
        pair = (message.mailing_id, message.client_id)
        id_, k = message.id, 0
        while id_ in self.stored:
            taken = self.stored[id_]
            if (taken.mailing_id, taken.client_id) == pair:
                return taken
            k += 1
            id_ = message_id(*pair, k)
        self.stored[id_] = replace(message, id=id_)
        self.counts[mailing.id][Status.QUEUED] += 1
        return self.stored[id_]

    def plan_alone(self, mailing: Mailing, message: Message) -> Message:
        with self._lock:
            if self.mailings.get(mailing.id) is None:
                self.mailings.create(mailing)
            return self._plan(mailing, message)

    def lease(self, messages: Collection[Message], *, until: datetime, version: str) -> Sequence[Message]:
        with self._lock:
            return [leased for message in messages if (leased := self._lease(message, until, version))]

    def _lease(self, message: Message, until: datetime, version: str) -> Message | None:
        row = self.stored.get(message.id)
        if row is None or row.version != message.version:
            return None
        self.stored[row.id] = replace(row, lease_until=until, version=version, leases=message.leases + 1)
        return self.stored[row.id]

    def get_many(self, ids: Collection[int]) -> Mapping[int, Message]:
        with self._lock:
            return {id_: self.stored[id_] for id_ in ids if id_ in self.stored}

    def release(self, messages: Sequence[Message]) -> None:
        with self._lock:
            for message in messages:
                row = self.stored.get(message.id)
                if row and row.version == message.version:
                    self.stored[row.id] = replace(
                        row, lease_until=UNLEASED, version=self._version(), leases=message.leases - 1
                    )

    def record(self, mailing_id: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        with self._lock:
            return [stored for outcome in outcomes if (stored := self._record(mailing_id, outcome))]

    def _record(self, mailing_id: str, outcome: Outcome) -> Outcome | None:
        current = self.stored.get(outcome.before.id)
        wanted = outcome if current and current.version == outcome.before.version else outcome.rebased(current)
        if wanted is None:
            return None
        self.stored[wanted.after.id] = replace(wanted.after, version=self._version())
        self.counts[mailing_id].update(counter_changes(wanted))
        if wanted.after.sent_at:
            minute = wanted.after.sent_at.replace(second=0, microsecond=0)
            self.minutes[mailing_id][minute][Status.SENT] += 1
        return wanted

    def due(self, status: Status, shard: int, before: datetime, limit: int) -> Sequence[DueMessage]:
        with self._lock:
            found = [
                DueMessage(row.id, row.mailing_id, row.due_at)
                for row in self.stored.values()
                if row.status is status and row.id % self._due_shards == shard and row.due_at and row.due_at <= before
            ]
        return sorted(found, key=lambda due: due.due_at)[:limit]

    def move_due(self, due: Sequence[DueMessage], *, now: datetime, due_at: datetime) -> Sequence[DueMessage]:
        with self._lock:
            return [one for one in due if self._move(one, now, due_at)]

    def _move(self, due: DueMessage, now: datetime, due_at: datetime) -> bool:
        row = self.stored.get(due.id)
        if row is None or row.due_at != due.due_at or row.lease_until is None or row.lease_until >= now:
            return False
        self.stored[row.id] = replace(row, due_at=due_at, version=self._version())
        return True

    def totals(self, mailing_id: str) -> MailingCounters:
        with self._lock:
            sent = [row.sent_at for row in self.of_mailing(mailing_id) if row.sent_at]
            counts = Counter({name: number for name, number in self.counts[mailing_id].items() if number})
            return MailingCounters(counts, min(sent, default=None), max(sent, default=None), self.repairs[mailing_id])

    def adjust(self, mailing_id: str, changes: Mapping[str, int], repairs: int) -> None:
        with self._lock:
            if self.repairs[mailing_id] != repairs:
                raise StaleError("repaired meanwhile")
            self.counts[mailing_id].update(changes)
            self.repairs[mailing_id] += 1

    def per_minute(self, mailing_id: str, limit: int) -> Sequence[tuple[datetime, Counter[str]]]:
        with self._lock:
            return sorted(self.minutes[mailing_id].items(), key=lambda minute: minute[0])[-limit:]

    def sent_since(self, mailing_id: str, moment: datetime) -> int:
        first = moment.replace(second=0, microsecond=0)
        with self._lock:
            return sum(counts["sent"] for minute, counts in self.minutes[mailing_id].items() if minute >= first)

    def sent_between(self, mailing_id: str, moments: Sequence[datetime]) -> Sequence[int]:
        edges = [moment.replace(second=0, microsecond=0) for moment in moments]
        with self._lock:
            minutes = list(self.minutes[mailing_id].items())
        return [
            sum(counts["sent"] for minute, counts in minutes if first <= minute < last)
            for first, last in pairwise(edges)
        ]

    def _version(self) -> str:
        return f"stored-{next(self._versions)}"


def recount(messages: Collection[Message]) -> Counter[str]:
    """Count rows as the counters must say; what they count beside rows (`error.…`) is not in it."""
    counts: Counter[str] = Counter()
    for message in messages:
        counts[message.status.value] += 1
        if message.reason:
            counts[f"{message.status.value}.{message.reason.value}"] += 1
        counts["attempts"] += message.attempts
        counts["uncertain"] += message.uncertain
    return Counter({name: number for name, number in counts.items() if number})


def without_errors(counts: Counter[str]) -> Counter[str]:
    """Leave out what no row says, and what has come down to nothing: what remains equals a recount."""
    return Counter({name: number for name, number in counts.items() if number and not name.startswith("error.")})
