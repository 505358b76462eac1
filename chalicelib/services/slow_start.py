"""A careful beginning: where nothing was heard of the provider for a while, a few requests go first."""

import threading
from datetime import datetime, timedelta

from chalicelib.domain.answer import Answer
from chalicelib.domain.breaker import is_bad
from chalicelib.ports import Clock

QUIET = timedelta(seconds=10)
PATIENCE = timedelta(seconds=1)  # a provider that takes longer to answer is not waited for


class SlowStart:
    """Keeps a sender's requests few until one of them was answered well. Thread-safe.

    Should the provider be down, these few open the breaker, or find that another sender has; the others are spent on
    nothing. Without it, each sender that begins has as many requests on their way as it has threads before it knows.
    """

    def __init__(self, clock: Clock, few: int) -> None:
        self._clock = clock
        self._few = few
        self._begun = 0  # of these few
        self._flying = 0  # of those begun
        self._well_at: datetime | None = None
        self._changed = threading.Condition()

    def enter(self, until: datetime) -> bool:
        """Wait for leave to make a request, not beyond `until`; returns whether it is one of the few."""
        if self._was_well_within(QUIET):
            return False
        with self._changed:
            patience = min(PATIENCE, until - self._clock())
            self._changed.wait_for(self._may_go, max(patience.total_seconds(), 0))
            is_one = self._begun < self._few and not self._was_well_within(QUIET)
            self._begun += is_one
            self._flying += is_one
            return is_one

    def leave(self, answer: Answer | None, *, was_one: bool) -> None:
        """Say what came of a request; None: it was not made."""
        is_well = answer is not None and not is_bad(answer)
        if not was_one and (not is_well or self._was_well_within(QUIET / 2)):
            return  # each message comes here
        with self._changed:
            self._flying -= was_one
            if is_well:
                self._well_at = self._clock()
            elif answer is None:
                self._begun -= was_one
            if not self._flying:
                self._begun = 0  # all of them failed: it is for the breaker to say whether others follow
            self._changed.notify_all()

    def _may_go(self) -> bool:
        return self._begun < self._few or self._was_well_within(QUIET)

    def _was_well_within(self, time: timedelta) -> bool:
        well_at = self._well_at
        return well_at is not None and self._clock() - well_at < time
