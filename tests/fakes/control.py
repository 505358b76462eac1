from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.breaker import Breaker
from chalicelib.domain.limits import share_in_flight
from chalicelib.errors import StaleError

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeControlRepository:
    """What all senders share, in memory (port: `ControlRepository`).

    Attributes:
        error: raised by each call, if set.
        on_read: called once, when the breaker has been read and the reader does not have it yet.
        reads: of the breaker.
        reservations: of slots, granted or not.
    """

    def __init__(self) -> None:
        self.stored = Breaker()
        self.error: Exception | None = None
        self.on_read: Callable[[], object] | None = None
        self.reads = 0
        self.reservations = 0
        self.taken: dict[str, tuple[int, datetime]] = {}
        self._next_slot: datetime | None = None

    def breaker(self) -> Breaker:
        self._fail()
        self.reads += 1
        stored = self.stored
        if self.on_read:
            on_read, self.on_read = self.on_read, None
            on_read()
        return stored

    def change_breaker(self, after: Breaker) -> None:
        self._fail()
        if after.version != self.stored.version + 1:
            raise StaleError("the breaker has changed since it was read")
        self.stored = after

    def reserve_slots(
        self, count: int, interval: timedelta, *, now: datetime, horizon: datetime
    ) -> tuple[datetime | None, datetime]:
        self._fail()
        self.reservations += 1
        first = max(self._next_slot or now, now)
        if first > horizon:
            return None, first
        self._next_slot = first + count * interval
        return first, self._next_slot

    def take_in_flight(self, owner: str, wanted: int, limit: int, *, now: datetime, until: datetime) -> int:
        self._fail()
        self.taken = {name: share for name, share in self.taken.items() if share[1] > now and name != owner}
        given = min(wanted, share_in_flight(limit, sum(share for share, _ in self.taken.values())))
        if given:
            self.taken[owner] = (given, until)
        return given

    def give_back_in_flight(self, owner: str) -> None:
        self._fail()
        self.taken.pop(owner, None)

    def _fail(self) -> None:
        if self.error:
            raise self.error
