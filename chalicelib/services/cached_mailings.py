"""Mailings as senders see them: at most two seconds old."""

import threading
from datetime import datetime, timedelta

from chalicelib.domain.mailing import Mailing
from chalicelib.ports import Clock, MailingRepository

MAX_AGE = timedelta(seconds=2)  # a change, pause or cancel counts for each request not begun within 5 s
_MAX_ENTRIES = 1000


class CachedMailings:
    """Reads each mailing once in two seconds, for all threads of a sender together."""

    def __init__(self, mailings: MailingRepository, clock: Clock) -> None:
        self._mailings = mailings
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[datetime, Mailing | None]] = {}

    def get(self, mailing_id: str) -> Mailing | None:
        """Read a mailing. While one thread reads it, the others wait for what it reads."""
        entry = self._fresh(mailing_id)
        if entry is None:
            with self._lock:
                entry = self._fresh(mailing_id)
                if entry is None:
                    if len(self._entries) >= _MAX_ENTRIES:
                        self._entries.clear()
                    # The age counts from before the read: what changes meanwhile may not be in it.
                    entry = (self._clock(), self._mailings.get(mailing_id))
                    self._entries[mailing_id] = entry
        return entry[1]

    def _fresh(self, mailing_id: str) -> tuple[datetime, Mailing | None] | None:
        entry = self._entries.get(mailing_id)
        return entry if entry and self._clock() - entry[0] < MAX_AGE else None
