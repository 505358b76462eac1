"""What reached the simulated provider, counted and remembered."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

REMEMBERED_REQUESTS = 100_000


class Received(NamedTuple):
    """A request to send a message and what became of it.

    A request that breaks the contract has no phone and no text, and an id only where the address has one.
    `started_at` and `at` are the moments of its first and last byte, in seconds since the epoch. `status` is None
    where no answer is sent. `misbehaved` tells that the answer is not a plain success, by the behaviour that was set.
    `request_id` is its `X-Request-Id`.
    """

    id: int | None
    phone: int | None
    text: str | None
    started_at: float
    at: float
    status: int | None
    accepted: bool
    misbehaved: bool = False
    request_id: str | None = None

    @property
    def valid(self) -> bool:
        """Tell whether the request keeps the contract."""
        return self.text is not None

    def to_json(self) -> dict[str, object]:
        """Return the fields with readable times."""
        return self._asdict() | {"started_at": _rfc3339(self.started_at), "at": _rfc3339(self.at)}


class Ledger:
    """Counts requests, and keeps the last of them.

    Ids are remembered without a limit (about 100 bytes each): duplicates are found however far they lie apart.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._valid = 0
        self._accepted = 0
        self._ids: set[int] = set()
        self._accepted_ids: set[int] = set()
        self._first_at: float | None = None
        self._last_at: float | None = None
        self._last: deque[Received] = deque(maxlen=REMEMBERED_REQUESTS)

    def record(self, received: Received) -> None:
        """Count a request; only a valid one counts for ids."""
        self._requests += 1
        if self._first_at is None:
            self._first_at = received.at
        self._last_at = received.at
        self._last.append(received)
        if received.id is None or not received.valid:
            return
        self._valid += 1
        self._ids.add(received.id)
        if received.accepted:
            self._accepted += 1
            self._accepted_ids.add(received.id)

    def to_json(self, limit: int, message_id: int | None = None) -> dict[str, object]:
        """Return the counts and at most `limit` of the last requests, oldest first, all or those of one message."""
        newest_first = (one for one in reversed(self._last) if message_id is None or one.id == message_id)
        last = [one.to_json() for one in islice(newest_first, limit)]
        return {
            "requests": self._requests,
            "accepted": self._accepted,
            "unique": len(self._ids),
            "duplicates": self._valid - len(self._ids),
            "accepted_unique": len(self._accepted_ids),
            "accepted_duplicates": self._accepted - len(self._accepted_ids),
            "first_at": None if self._first_at is None else _rfc3339(self._first_at),
            "last_at": None if self._last_at is None else _rfc3339(self._last_at),
            "last": last[::-1],
        }


def _rfc3339(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
