"""The gate before the provider: each request passes it, and none while the provider is down or has had enough."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.answer import Answer
from chalicelib.domain.backoff import Uniform
from chalicelib.domain.breaker import RETURN_SPREAD, Breaker, BreakerState, Hold
from chalicelib.domain.limits import rows_at_once
from chalicelib.domain.message import Reason
from chalicelib.ports import Clock, NewId
from chalicelib.services.provider_limits import InFlight, Pace
from chalicelib.services.shared_breaker import SharedBreaker
from chalicelib.services.slow_start import SlowStart

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to make one request; whoever has it must say what came of it (`ProviderGate.leave`)."""

    began_under: Breaker
    began_at: datetime
    goes_first: bool

    @property
    def is_probe(self) -> bool:
        """Tell whether the request is to find out if the provider is back."""
        return self.began_under.state is BreakerState.HALF_OPEN


@dataclass(frozen=True, slots=True)
class ProviderGate:
    """The breaker and the limits, as one. `pace` and `in_flight` are None without such a limit."""

    breaker: SharedBreaker
    slow_start: SlowStart
    clock: Clock
    uniform: Uniform
    new_owner: NewId
    per_second: float | None = None
    pace: Pace | None = None
    in_flight: InFlight | None = None

    @contextmanager
    def run(self, until: datetime) -> Iterator[bool]:
        """Stand open for the requests of one run; yields False if this run may make none."""
        if self.in_flight is None:
            yield True
            return
        owner = self.new_owner()
        try:
            yield self.in_flight.open(owner, until)
        finally:
            self.in_flight.close(owner)

    def hold(self) -> Hold | None:
        """Say until when requests are held back; who asks gets a moment of his own, so that not all come at once."""
        held = self.breaker.hold()
        return held and self._spread(held)

    def rows_at_once(self, usual: int) -> int:
        """Say how many rows are worth taking: one to probe with, or what the pace allows."""
        if not self.breaker.current().is_closed:
            return 1
        return usual if self.per_second is None else min(usual, rows_at_once(self.per_second))

    def enter(self, until: datetime) -> Turn | Hold | None:
        """Wait for leave to make one request; None if there is no turn until then."""
        goes_first = self.slow_start.enter(until)
        turn = self._enter(until, goes_first=goes_first)
        if not isinstance(turn, Turn):
            self.slow_start.leave(None, was_one=goes_first)
        return turn

    def _enter(self, until: datetime, *, goes_first: bool) -> Turn | Hold | None:
        if self.in_flight and not self.in_flight.wait(until):
            return None
        if self.pace and not self.pace.wait(until):
            self._go()
            return None
        began_under = self.breaker.begin()
        if isinstance(began_under, Hold):
            self._go()
            return self._spread(began_under)
        return Turn(began_under, self.clock(), goes_first)

    def leave(self, turn: Turn, answer: Answer | None) -> None:
        """Say what came of a request; None: it was not made. Never raises, so that no answer is lost here."""
        self._go()
        try:
            self.breaker.learn(turn.began_under, turn.began_at, answer)
        except Exception:
            logger.exception("nothing learnt from an answer", extra={"error": answer.error if answer else None})
        self.slow_start.leave(answer, was_one=turn.goes_first)  # last: who is let go knows whether the breaker opened

    def _go(self) -> None:
        if self.in_flight:
            self.in_flight.leave()

    def _spread(self, held: Hold) -> Hold:
        width = RETURN_SPREAD
        if held.reason is Reason.RATE:  # a pause of a second is not to become one of six
            width = min(width, held.until - self.clock())
        return replace(held, until=held.until + timedelta(seconds=self.uniform(0, max(width.total_seconds(), 0))))
