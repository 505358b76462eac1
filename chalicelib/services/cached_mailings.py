"""Mailings as senders see them: at most two seconds old."""

import threading
from datetime import datetime, timedelta

from chalicelib.domain.mailing import Mailing
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, MailingRepository

MAX_AGE = timedelta(seconds=2)  # a change, pause or cancel counts for each request not begun within 5 s
READ_AHEAD = timedelta(seconds=1.5)  # from this age on one thread reads it again while the others go on
_MAX_ENTRIES = 1000
_Known = tuple[datetime, Mailing | None]


class CachedMailings:
    """Reads each mailing once in two seconds, for all threads of a sender together."""

    def __init__(self, mailings: MailingRepository, clock: Clock) -> None:
        self._mailings = mailings
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Known] = {}

    def get(self, mailing_id: str) -> Mailing | None:
        """Read a mailing. While one thread reads it, the others have it as it was, or wait if that is too old."""
        known = self._fresh(mailing_id, READ_AHEAD)
        if known is None:
            known = self._fresh(mailing_id, MAX_AGE)
            if self._lock.acquire(blocking=known is None):
                try:
                    known = self._fresh(mailing_id, READ_AHEAD) or self._read(mailing_id)
                except TransientError:
                    if known is None:
                        raise
                finally:
                    self._lock.release()
        return known[1] if known else None

    def _read(self, mailing_id: str) -> _Known:
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.clear()
        # The age counts from before the read: what changes meanwhile may not be in it.
        known = (self._clock(), self._mailings.get(mailing_id))
        self._entries[mailing_id] = known
        return known

    def _fresh(self, mailing_id: str, max_age: timedelta) -> _Known | None:
        known = self._entries.get(mailing_id)
        return known if known and self._clock() - known[0] < max_age else None
