"""The keys of an issuer, kept: read when one is needed that is not known, and again after an hour in use."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from joserfc.jwk import Key

from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.errors import TransientError

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(hours=1)
READ_AT_MOST_EVERY = timedelta(seconds=5)
REFRESH_AT_MOST_EVERY = timedelta(minutes=1)  # while the issuer hangs, known keys should not wait for it each time


class Publisher(Protocol):
    """Whoever publishes keys."""

    def read_keys(self) -> SigningKeys:
        """Read what is published at present. Raises `TransientError`."""
        ...


class IssuerKeys:
    """Keys of an issuer. Thread-safe.

    A key that is not known may be a new one, so the issuer is asked; but at most every five seconds, whatever tokens
    say. While it does not answer, known keys go on.

    Args:
        issuer: who publishes them.
        now: a clock that only goes forward, in seconds.
    """

    def __init__(self, issuer: Publisher, now: Callable[[], float]) -> None:
        self._issuer = issuer
        self._now = now
        self._lock = threading.Lock()
        self._keys = SigningKeys([])
        self._read_at = self._asked_at = -MAX_AGE.total_seconds()
        self._failure: str | None = None

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Find the key of a token; None: the issuer has no such key.

        Raises:
            TransientError: the key is not known, and the issuer does not answer.
        """
        with self._lock:
            if self._is_since(self._read_at, MAX_AGE) and self._is_since(self._asked_at, REFRESH_AT_MOST_EVERY):
                self._read()
            found = self._keys.find(key_id, algorithm)
            if found is None and self._is_since(self._asked_at, READ_AT_MOST_EVERY) and self._read():
                found = self._keys.find(key_id, algorithm)
            if found is None and self._failure is not None:
                raise TransientError(self._failure)
            return found

    def _read(self) -> bool:
        """Ask the issuer; tells whether it answered."""
        self._asked_at = self._now()
        try:
            self._keys = self._issuer.read_keys()
        except TransientError as error:
            logger.warning("the issuer's keys cannot be read", extra={"error": str(error)})
            self._failure = str(error)
            return False
        self._read_at, self._failure = self._asked_at, None
        return True

    def _is_since(self, moment: float, period: timedelta) -> bool:
        return self._now() - moment >= period.total_seconds()
