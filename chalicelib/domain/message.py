"""A message: the row of one client in one mailing, and the ways in which it may change.

Rows are the truth. Each change makes a new `Message`; who writes it must prove by `version` that nobody was
faster. `Outcome` holds a row before and after a change, from which the counters follow.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_TICKET_DELAY = timedelta(minutes=15)  # what SQS allows
PUT_OFF_GRACE = timedelta(minutes=2)
UNLEASED = datetime.fromtimestamp(0, UTC)
_ID_BITS = 53  # exact in JSON and JavaScript


class Status(StrEnum):
    """`sent` means: the provider accepted it."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN = frozenset({Status.QUEUED, Status.DEFERRED})


class Reason(StrEnum):
    """Why a message is `deferred` (first block), `failed` (second block) or `cancelled` (third block)."""

    WINDOW = "window"
    RETRY = "retry"
    OUTAGE = "outage"
    RATE = "rate"
    PAUSED = "paused"

    REFUSED = "refused"
    ATTEMPTS = "attempts"
    UNCERTAIN = "uncertain"
    TIMEZONE = "timezone"
    CRASH = "crash"

    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Message:
    """The row of one client in one mailing.

    Attributes:
        due_at: open rows only; the moment after which somebody must look again, whatever was lost.
        not_before: deferred rows only; no request before it.
        lease_until: open rows only; until then the row belongs to whoever wrote `version`.
        leases: leases taken since the last outcome: one more than the crashes in between.
        version: unique with each write of the row.
        attempts_before: how many of the attempts were made before the last time that it was queued again by hand.
        uncertain: requests of which nobody knows whether the provider took them.
    """

    id: int
    mailing_id: str
    client_id: str
    mailing_shard: str
    status: Status
    created_at: datetime
    version: str
    due_at: datetime | None = None
    not_before: datetime | None = None
    lease_until: datetime | None = None
    leases: int = 0
    reason: Reason | None = None
    attempts: int = 0
    attempts_before: int = 0
    uncertain: int = 0
    sent_at: datetime | None = None
    last_error: str | None = None
    expires_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it can still be sent."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row before and after a change. `error` names what went wrong with a request, if one was made."""

    before: Message
    after: Message
    error: str | None = None

    def rebased(self, current: Message | None) -> "Outcome | None":
        """Carry this change over to the row as it is by now, if it still counts there.

        Only `sent` does: the provider has the message, whoever holds the row. Everything else needs the lease.
        """
        if self.after.status is not Status.SENT or current is None or not current.is_open:
            return None
        after = ended(
            current,
            Status.SENT,
            expires_at=self.after.expires_at,
            sent_at=self.after.sent_at,
            attempts=current.attempts + self.after.attempts - self.before.attempts,
            version=self.after.version,
        )
        return Outcome(current, after)


def message_id(mailing_id: str, client_id: str, k: int = 0) -> int:
    """Derive the id of the k-th choice for this pair: positive, below 2^53."""
    digest = hashlib.blake2b(f"{mailing_id}\n{client_id}\n{k}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - _ID_BITS) or 1


def ended(
    message: Message,
    status: Status,
    reason: Reason | None = None,
    *,
    expires_at: datetime | None,
    **also: Any,  # noqa: ANN401 - fields of a message
) -> Message:
    """End a message for good; nothing that speaks of a next step remains. `also` is what changes with it."""
    return replace(
        message,
        status=status,
        reason=reason,
        due_at=None,
        not_before=None,
        lease_until=None,
        leases=0,
        expires_at=expires_at,
        **also,
    )


def put_off(
    message: Message,
    until: datetime,
    reason: Reason,
    *,
    now: datetime,
    **also: Any,  # noqa: ANN401 - fields of a message
) -> Message:
    """Defer a message until a moment. `also` is what changes with it.

    A short wait goes by a delayed ticket, and `due_at` is the safety net behind it; a long one by `due_at` alone.
    """
    due_at = until + PUT_OFF_GRACE if until - now <= MAX_TICKET_DELAY else until
    return replace(
        message,
        status=Status.DEFERRED,
        reason=reason,
        not_before=until,
        due_at=due_at,
        lease_until=UNLEASED,
        leases=0,
        **also,
    )


def queued_again(message: Message, *, due_at: datetime) -> Message:
    """Queue a message that waited for what is over by now."""
    return replace(
        message,
        status=Status.QUEUED,
        reason=None,
        due_at=due_at,
        not_before=None,
        lease_until=UNLEASED,
        leases=0,
        expires_at=None,
    )


def retried(message: Message, *, due_at: datetime) -> Message:
    """Queue a failed message again, with all attempts before it."""
    return replace(queued_again(message, due_at=due_at), attempts_before=message.attempts)


def counters_of(message: Message) -> Counter[str]:
    """Say what one row adds to each counter of its mailing."""
    counters = Counter({message.status.value: 1, "attempts": message.attempts, "uncertain": message.uncertain})
    if message.reason:
        counters[f"{message.status}.{message.reason}"] = 1
    return counters


def counter_changes(outcome: Outcome) -> Counter[str]:
    """Say by how much each counter of the mailing changes with this outcome."""
    changes = counters_of(outcome.after)
    changes.subtract(counters_of(outcome.before))
    if outcome.error:
        changes[f"error.{outcome.error}"] += 1
    return Counter({name: change for name, change in changes.items() if change})
