from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from chalicelib.ports import MailingCounters


class FakeCounterRepository:
    """Counters in memory (port: `CounterRepository`)."""

    def __init__(self) -> None:
        self.stored: dict[str, MailingCounters] = {}
        self.minutes: dict[str, dict[datetime, Counter[str]]] = {}

    def totals(self, mailing_id: str) -> MailingCounters:
        return self.stored.get(mailing_id, MailingCounters(Counter()))

    def per_minute(self, mailing_id: str, limit: int) -> Sequence[tuple[datetime, Counter[str]]]:
        return sorted(self.minutes.get(mailing_id, {}).items(), key=lambda minute: minute[0])[-limit:]
