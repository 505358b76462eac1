"""What a process counts while it works, added to what all have counted in one write at the end of each run."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime

from chalicelib.domain.answer import Answer
from chalicelib.domain.figures import ERROR, Source
from chalicelib.domain.message import Outcome
from chalicelib.domain.traffic import count_answer, count_outcomes
from chalicelib.errors import TransientError
from chalicelib.ports import FigureRepository

logger = logging.getLogger(__name__)


class Tally:
    """Counts in memory, in any thread. A process that is killed loses what it has not written: no row knows of it.

    What cannot be written waits for the next run of the same process. A write whose answer is lost may count twice.
    """

    def __init__(self, figures: FigureRepository, token_expires_at: Callable[[], datetime | None]) -> None:
        self._figures = figures
        self._token_expires_at = token_expires_at
        self._counts: Counter[str] = Counter()
        self._received: dict[str, datetime] = {}
        self._called = False
        self._lock = threading.Lock()

    def answered(self, answer: Answer) -> None:
        """Count a call of the provider."""
        with self._lock:
            for name, number in count_answer(answer).items():  # each message comes here: `update` takes far longer
                self._counts[name] += number
            self._called = True

    def recorded(self, outcomes: Iterable[Outcome]) -> None:
        """Count what was made of messages."""
        with self._lock:
            self._counts.update(count_outcomes(outcomes))

    def received(self, queue: str, sent_at: datetime) -> None:
        """Take note of when a ticket was sent that has come by a queue: those behind it were sent later."""
        with self._lock:
            self._received[queue] = max(sent_at, self._received.get(queue, sent_at))

    def unreadable(self, source: Source) -> None:
        """Count that figures could not be read."""
        with self._lock:
            self._counts[f"{ERROR}{source.value}"] += 1

    @property
    def unwritten(self) -> Counter[str]:
        """What was counted and is not written."""
        with self._lock:
            return self._counts.copy()

    def write(self) -> None:
        """Add it to what is stored. Never raises."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            received, self._received = self._received, {}
            called, self._called = self._called, False
        if not counts and not received:
            return
        try:
            self._figures.add(counts, received, self._expiry() if called else None)
        except Exception:
            logger.exception("figures not written; the next run of this process tries again")
            with self._lock:
                self._counts.update(counts)
                self._received = received | self._received

    def _expiry(self) -> datetime | None:
        try:
            return self._token_expires_at()
        except TransientError:
            logger.warning("nobody knows when the provider's token ends", exc_info=True)
            return None
