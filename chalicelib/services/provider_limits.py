"""What the provider allows over all senders: requests a second, and requests at once."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.domain.limits import STALE_SLOT, Slots, slots_at_once
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, ControlRepository

logger = logging.getLogger(__name__)

HORIZON = timedelta(seconds=2)  # what is reserved further ahead would wait in one sender while others idle
Sleep = Callable[[float], None]


class Pace:
    """Spaces the requests of all senders evenly: each reserves some slots with one write, and uses them in turn.

    Thread-safe. A sender that dies leaves its slots unused: less than a second's worth.
    """

    def __init__(self, control: ControlRepository, clock: Clock, sleep: Sleep, per_second: float) -> None:
        self._control = control
        self._clock = clock
        self._sleep = sleep
        self._count = slots_at_once(per_second)
        self._interval = timedelta(seconds=1 / per_second)
        self._slots: deque[datetime] = deque()
        self._ask_at: datetime | None = None
        self._lock = threading.Lock()

    def wait(self, until: datetime) -> bool:
        """Wait for a slot; False if there is none until then."""
        while True:
            with self._lock:
                slot, ask_again_at = self._take(until)
            now = self._clock()
            wake_at = slot or ask_again_at
            if wake_at is None or wake_at > until:
                return False
            self._sleep(max((wake_at - now).total_seconds(), 0))
            if slot is not None:
                return True

    def _take(self, until: datetime) -> tuple[datetime | None, datetime | None]:
        """Take the next slot, if it is in time; else say when it is worth asking again."""
        now = self._clock()
        while self._slots and self._slots[0] < now - STALE_SLOT:
            self._slots.popleft()
        if not self._slots:
            # Told to ask later, one thread was told for all: each for itself would write more than there are requests.
            if self._ask_at is None or now >= self._ask_at:
                self._ask_at = self._reserve(now)
            if self._ask_at is not None:
                return None, self._ask_at
        return (self._slots.popleft(), None) if self._slots[0] <= until else (None, None)

    def _reserve(self, now: datetime) -> datetime | None:
        """Reserve the next slots; says when it is worth asking again if there are none."""
        try:
            first, free_at = self._control.reserve_slots(self._count, self._interval, now=now, horizon=now + HORIZON)
        except TransientError:
            logger.warning("no slots reserved", exc_info=True)
            return now + HORIZON
        if first is None:
            return max(free_at - HORIZON + self._interval, now + HORIZON / 2)
        self._slots = Slots(first, self._interval, self._count).moments()
        return None


class InFlight:
    """Keeps requests at once, over all senders, below a limit: each run takes a share of it for its time.

    A sender that dies keeps its share until its run would have ended.
    """

    def __init__(self, control: ControlRepository, clock: Clock, limit: int, threads: int) -> None:
        self._control = control
        self._clock = clock
        self._limit = limit
        self._threads = threads
        self._permits = threading.Semaphore(0)

    def open(self, owner: str, until: datetime) -> bool:
        """Take a share for a run; False if there is none."""
        try:
            share = self._control.take_in_flight(owner, self._threads, self._limit, now=self._clock(), until=until)
        except TransientError:
            logger.warning("no share of the requests in flight taken", exc_info=True)
            return False
        self._permits = threading.Semaphore(share)
        return share > 0

    def close(self, owner: str) -> None:
        """Give the share back."""
        try:
            self._control.give_back_in_flight(owner)
        except TransientError:
            logger.warning("share of the requests in flight not given back; it ends by itself", exc_info=True)

    def wait(self, until: datetime) -> bool:
        """Wait until a request of this run may be made; False if none may until then."""
        return self._permits.acquire(timeout=max((until - self._clock()).total_seconds(), 0))

    def leave(self) -> None:
        """Say that the request is over."""
        self._permits.release()
