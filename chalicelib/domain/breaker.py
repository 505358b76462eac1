"""The circuit breaker that all senders share: when requests to the provider are held back, pure.

Closed, open, half-open, after M. Nygard, "Release It!", 2007. Each sender counts what it sees; the state itself is
one record, changed on condition of its version, so that of all who would change it one does.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.message import Reason

RECENT_ANSWERS = 50
FAILED_SHARE = 0.8  # of the recent answers
PROBE_MARGIN = timedelta(seconds=2)
RETURN_SPREAD = timedelta(seconds=5)  # over which those who waited come back
MAX_SLOWED = timedelta(minutes=15)
HTTP_TOO_MANY = 429


class BreakerState(StrEnum):
    """Closed: requests flow. Open: none is made. Half-open: one is on its way, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Cause(StrEnum):
    """Why it is not closed: the provider is down, or it refuses our token, or we have none."""

    OUTAGE = "outage"
    TOKEN = "token"  # noqa: S105 - the name of a cause


@dataclass(frozen=True, slots=True)
class Breaker:
    """What all senders know of the provider.

    Attributes:
        since: when it opened; kept until it closes.
        changed_at: when this state began; answers to requests from before say nothing about it.
        probe_at: open: when a probe may be made. Half-open: when the probe counts as lost, and another may be made.
        probes: how many have failed since it opened.
        slowed_until: no request before it, for the provider said so to one of us (429).
        version: counts the changes of the record.
    """

    state: BreakerState = BreakerState.CLOSED
    cause: Cause | None = None
    since: datetime | None = None
    changed_at: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0
    slowed_until: datetime | None = None
    version: int = 0

    @property
    def is_closed(self) -> bool:
        """Tell whether requests flow."""
        return self.state is BreakerState.CLOSED

    def may_probe(self, now: datetime) -> bool:
        """Tell whether somebody may try one request."""
        return self.probe_at is not None and now >= self.probe_at


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """What operators may tune about it.

    Attributes:
        failures: in a row, as one sender sees them, that open it.
        first_probe: after opening; each probe that fails doubles the wait for the next, up to `probe_cap`.
        request_timeout: how long a probe may take.
    """

    failures: int
    first_probe: timedelta
    probe_cap: timedelta
    request_timeout: timedelta

    def probe_after(self, failed_probes: int) -> timedelta:
        """Say how long to wait for the next probe."""
        return min(self.probe_cap, self.first_probe * (1 << min(failed_probes, 32)))


@dataclass(frozen=True, slots=True)
class Hold:
    """No request at this moment, and none before `until`."""

    until: datetime
    reason: Reason


class RecentAnswers:
    """The latest answers that one sender had, good or bad."""

    def __init__(self) -> None:
        self._bad: deque[bool] = deque(maxlen=RECENT_ANSWERS)
        self._in_a_row = 0

    def add(self, *, bad: bool) -> None:
        """Take note of an answer."""
        self._bad.append(bad)
        self._in_a_row = self._in_a_row + 1 if bad else 0

    def tell_of_outage(self, policy: BreakerPolicy) -> bool:
        """Tell whether the provider is down: so many failures in a row, or most of a full memory."""
        if self._in_a_row >= policy.failures:
            return True
        return len(self._bad) == RECENT_ANSWERS and sum(self._bad) >= FAILED_SHARE * RECENT_ANSWERS

    def forget(self) -> None:
        """Begin afresh."""
        self._bad.clear()
        self._in_a_row = 0


def is_bad(answer: Answer) -> bool:
    """Tell whether an answer speaks of a provider that is down; a refusal or a 429 comes from one that is up."""
    if answer.kind is AnswerKind.BUSY:
        return answer.status != HTTP_TOO_MANY
    return answer.kind not in {AnswerKind.ACCEPTED, AnswerKind.REFUSED}


def hold(breaker: Breaker, now: datetime) -> Hold | None:
    """Say until when requests are held back, None if one may be made, be it a probe."""
    if not breaker.is_closed and breaker.probe_at is not None and not breaker.may_probe(now):
        return Hold(breaker.probe_at, Reason.OUTAGE)
    if breaker.slowed_until is not None and now < breaker.slowed_until:
        return Hold(breaker.slowed_until, Reason.RATE)
    return None


def opened(breaker: Breaker, cause: Cause, now: datetime, policy: BreakerPolicy) -> Breaker:
    """Open it."""
    return replace(
        breaker,
        state=BreakerState.OPEN,
        cause=cause,
        since=now,
        changed_at=now,
        probe_at=now + policy.probe_after(0),
        probes=0,
        version=breaker.version + 1,
    )


def probing(breaker: Breaker, now: datetime, policy: BreakerPolicy) -> Breaker:
    """Let one request through; should it never be heard of again, another may follow."""
    return replace(
        breaker,
        state=BreakerState.HALF_OPEN,
        changed_at=now,
        probe_at=now + policy.request_timeout + PROBE_MARGIN,
        version=breaker.version + 1,
    )


def probed(breaker: Breaker, answer: Answer | None, now: datetime, policy: BreakerPolicy) -> Breaker:
    """Say what a probe has shown; None: it was not made after all, and the next may be made at once."""
    if answer is not None and not is_bad(answer):
        return Breaker(slowed_until=breaker.slowed_until, changed_at=now, version=breaker.version + 1)
    failed = breaker.probes + (answer is not None)
    return replace(
        breaker,
        state=BreakerState.OPEN,
        cause=cause_of(answer) if answer else breaker.cause,
        changed_at=now,
        probe_at=now + policy.probe_after(failed) if answer else now,
        probes=failed,
        version=breaker.version + 1,
    )


def slowed(breaker: Breaker, answer: Answer, now: datetime) -> Breaker | None:
    """Have all senders wait as long as a 429 says; None if this answer asks for nothing that is not so already."""
    if answer.status != HTTP_TOO_MANY or answer.retry_after is None:
        return None
    until = now + min(answer.retry_after, MAX_SLOWED)
    if breaker.slowed_until is not None and until <= breaker.slowed_until:
        return None
    return replace(breaker, slowed_until=until, version=breaker.version + 1)


def cause_of(answer: Answer) -> Cause:
    """Say why an answer opens it."""
    return Cause.TOKEN if answer.kind is AnswerKind.UNAUTHORIZED else Cause.OUTAGE
