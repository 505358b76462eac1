"""The breaker as one sender sees it: read once a second, changed for all senders."""

import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.breaker import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Hold,
    RecentAnswers,
    cause_of,
    hold,
    is_bad,
    opened,
    probed,
    probing,
    slowed,
)
from chalicelib.domain.message import Reason
from chalicelib.errors import StaleError, TransientError
from chalicelib.observability import count
from chalicelib.ports import Clock, ControlRepository

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(seconds=1)
READ_AHEAD = timedelta(seconds=0.6)  # from this age on one thread reads it again while the others go on
MAX_AGE_AFTER_FAILURE = timedelta(seconds=0.1)  # when requests fail, others have probably opened it
_TRIES = 5


class SharedBreaker:
    """Says whether requests may be made, and learns from their answers. Thread-safe.

    If it cannot be read, what was known last counts; if it cannot be changed, this sender alone acts as if it had.
    A sender killed while it probes: its probe counts as lost after its time.
    """

    def __init__(self, control: ControlRepository, clock: Clock, policy: BreakerPolicy) -> None:
        self._control = control
        self._clock = clock
        self._policy = policy
        self._recent = RecentAnswers()
        self._breaker = Breaker()
        self._read_at: datetime | None = None
        self._is_known = False
        self._lock = threading.RLock()
        self._reading_ahead = threading.Lock()

    def current(self) -> Breaker:
        """Return the breaker, at most a second old."""
        return self._current(MAX_AGE)

    def known(self) -> Breaker | None:
        """Return the breaker as `current` does, None if it cannot be read, for whatever reason: it is only shown."""
        try:
            breaker = self.current()
        except Exception:
            logger.exception("breaker not read")
            return None
        return breaker if self._is_known else None

    def hold(self) -> Hold | None:
        """Say until when requests are held back."""
        return hold(self.current(), self._clock())

    def begin(self) -> Breaker | Hold:
        """Ask for one request, right before it: it is granted under the breaker returned, half-open for a probe."""
        breaker = self.current()
        if breaker.is_closed and hold(breaker, self._clock()) is None:
            return breaker
        with self._lock:
            for _ in range(_TRIES):
                breaker, now = self.current(), self._clock()
                held = hold(breaker, now)
                if held:
                    return held
                if breaker.is_closed:
                    return breaker
                probe = probing(breaker, now, self._policy)
                if self._change(probe):
                    return probe
        return Hold(self._clock() + MAX_AGE, Reason.OUTAGE)

    def learn(self, began_under: Breaker, began_at: datetime, answer: Answer | None) -> None:
        """Take an answer into account; None: the request that was asked for was not made."""
        with self._lock:
            if began_under.state is BreakerState.HALF_OPEN:
                self._end_probe(began_under, answer)
            elif answer is not None:
                self._note(began_at, answer)
            if answer and (slower := slowed(self._breaker, answer, self._clock())):
                self._change(slower)

    def _end_probe(self, probe: Breaker, answer: Answer | None) -> None:
        for _ in range(_TRIES):
            current = self._breaker
            if (current.state, current.changed_at) != (probe.state, probe.changed_at):
                return  # it counted as lost, and another has been made since
            if self._change(probed(current, answer, self._clock(), self._policy), answer):
                return

    def _note(self, began_at: datetime, answer: Answer) -> None:
        bad = is_bad(answer)
        breaker = self._current(MAX_AGE_AFTER_FAILURE) if bad else self._breaker
        if not breaker.is_closed or (breaker.changed_at is not None and began_at < breaker.changed_at):
            return
        self._recent.add(bad=bad)
        if bad and (answer.kind is AnswerKind.UNAUTHORIZED or self._recent.tell_of_outage(self._policy)):
            self._change(opened(breaker, cause_of(answer), self._clock(), self._policy), answer, at_once=True)

    def _change(self, after: Breaker, answer: Answer | None = None, *, at_once: bool = False) -> bool:
        before = self._breaker
        if at_once:
            # This sender's threads begin no requests while the others are told.
            # A copy: who reads ahead meanwhile what was stored before finds the breaker changed since.
            self._adopt(replace(after))
        try:
            self._control.change_breaker(after)
        except StaleError:
            self._breaker = before
            self._read()
            return False
        except TransientError:
            logger.warning("breaker not changed: this sender alone knows", exc_info=True)
        self._adopt(after)
        if after.state is not before.state:
            self._tell(before, after, answer)
        return True

    def _tell(self, before: Breaker, after: Breaker, answer: Answer | None) -> None:
        facts = {
            "cause": after.cause.value if after.cause else None,
            "error": answer.error if answer else None,
            "since": (after.since or before.since or self._clock()).isoformat(),
            "probe_at": after.probe_at.isoformat() if after.probe_at else None,
        }
        if before.is_closed:
            logger.error("breaker opened", extra=facts)
            count("BreakerOpened")
        else:
            logger.info("breaker changed", extra=facts | {"state": after.state.value})

    def _current(self, max_age: timedelta) -> Breaker:
        age = self._age()
        if age is not None and age < max_age:
            if age >= READ_AHEAD and self._reading_ahead.acquire(blocking=False):
                try:
                    self._read()
                finally:
                    self._reading_ahead.release()
            return self._breaker
        with self._lock:
            age = self._age()
            if age is None or age >= max_age:
                self._read()
            return self._breaker

    def _age(self) -> timedelta | None:
        return None if self._read_at is None else self._clock() - self._read_at

    def _read(self) -> None:
        began_at, before = self._clock(), self._breaker
        try:
            breaker = self._control.breaker()
        except TransientError:
            logger.warning("breaker not read: what was known last counts", exc_info=True)
            self._is_known, self._read_at = False, began_at
            return
        with self._lock:
            # What this sender has come to know while it read is newer than what it read.
            if self._breaker is before and breaker.version != before.version:
                self._adopt(breaker)
            self._is_known, self._read_at = True, began_at

    def _adopt(self, breaker: Breaker) -> None:
        if breaker.changed_at != self._breaker.changed_at:
            self._recent.forget()
        self._breaker = breaker
