"""The rules of delivery, pure: what to do with a row before a request, and what an answer makes of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.backoff import Backoff, Uniform
from chalicelib.domain.breaker import Hold, is_bad
from chalicelib.domain.client import Client
from chalicelib.domain.local_window import next_opening
from chalicelib.domain.mailing import NOT_STARTED, STOPPED, Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import (
    Message,
    Outcome,
    Reason,
    Status,
    ended,
    message_id,
    put_off,
    queued_again,
)
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

# No request starts within a second of the end; a quarter more is for the thread that was told to start one.
END_MARGIN = timedelta(seconds=1.25)
EARLY_TICKET = timedelta(seconds=1)
MAX_TAKEOVERS = 5
# Rows that wait for their mailing or the provider are asked afresh by each ticket: that may have changed. The others
# wait for their time.
FOR_MAILING = frozenset({Reason.WINDOW, Reason.PAUSED})
FOR_PROVIDER = frozenset({Reason.OUTAGE, Reason.RATE})
_ASKED_AFRESH = FOR_MAILING | FOR_PROVIDER


@dataclass(frozen=True, slots=True)
class Policy:
    """What operators may tune about delivery."""

    backoff: Backoff
    max_attempts: int
    request_timeout: timedelta


@dataclass(frozen=True, slots=True)
class Send:
    """Make the request: the mailing's text to the client; it must be over by `deadline`."""

    deadline: datetime
    mailing: Mailing
    client: Client


@dataclass(frozen=True, slots=True)
class PutOff:
    """Not at this time."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class End:
    """Never."""

    status: Status
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to do with this row; `why` is for the log."""

    why: str


Decision = Send | PutOff | End | Leave


def planned(mailing: Mailing, client_id: str, bundle: str, now: datetime, queued_grace: timedelta) -> Message:
    """Make the row of a client in a mailing, queued, in a bundle: until it comes due, it is whose that is."""
    id_ = message_id(mailing.id, client_id)
    return Message(
        id=id_,
        mailing_id=mailing.id,
        client_id=client_id,
        mailing_shard=mailing.part_of(id_),
        status=Status.QUEUED,
        created_at=now,
        version=bundle,
        due_at=now + queued_grace,
        lease_until=now + queued_grace,
    )


def decide(  # noqa: C901, PLR0911 - a table of rules in their order of precedence reads best as returns
    message: Message,
    mailing: Mailing | None,
    client: Client | None,
    now: datetime,
    policy: Policy,
    hold: Hold | None = None,
) -> Decision:
    """Say what may happen to a message at this moment. Called right before a request would start.

    `hold`: the provider takes no request now; what is known without asking it is decided all the same.
    """
    if not message.is_open:
        return Leave("ended")
    if mailing is None or mailing.status in STOPPED or client is None:
        return End(Status.CANCELLED)
    if client.suppressed:
        return End(Status.CANCELLED, Reason.SUPPRESSED)
    if now >= mailing.end_at - END_MARGIN:
        return End(Status.EXPIRED)
    if mailing.status in NOT_STARTED:
        return Leave("not started")
    not_before = None if message.reason in _ASKED_AFRESH else message.not_before
    if not_before is not None and now < not_before - EARLY_TICKET:
        return Leave("not due")
    if mailing.status is MailingStatus.PAUSED:
        return PutOff(mailing.end_at, Reason.PAUSED)
    if message.leases > MAX_TAKEOVERS:
        return End(Status.FAILED, Reason.CRASH)
    if mailing.window is not None:
        try:
            opens_at = next_opening(mailing.window, resolve_timezone(client.timezone), now)
        except UnknownTimezoneError:
            return End(Status.FAILED, Reason.TIMEZONE)
        if opens_at > now:
            return PutOff(min(opens_at, mailing.end_at), Reason.WINDOW)
    if hold is not None:
        return PutOff(min(hold.until, mailing.end_at), hold.reason)
    return Send(min(now + policy.request_timeout, mailing.end_at), mailing, client)


def is_sent_at(mailing: Mailing, now: datetime) -> bool:
    """Tell whether messages of a mailing may be sent at this moment, as far as it is for the mailing to say."""
    return mailing.status is MailingStatus.RUNNING and now < mailing.end_at - END_MARGIN


def carry_out(message: Message, decision: PutOff | End, mailing: Mailing | None, now: datetime) -> Outcome:
    """Make of a decision against a request the change of the row."""
    if isinstance(decision, PutOff):
        return Outcome(message, put_off(message, decision.until, decision.reason, now=now))
    return Outcome(message, ended(message, decision.status, decision.reason, expires_at=_expiry(mailing)))


def follow(
    message: Message, mailing: Mailing, client: Client | None, now: datetime, policy: Policy, queued_grace: timedelta
) -> Outcome | None:
    """Say what a change of the mailing makes of a row, None if nothing; a row in a sender's hands is left to that.

    It is the rule of the sender, with one more answer: what may be sent and waits has a ticket queued.
    """
    if not message.is_open or (message.lease_until is not None and message.lease_until > now):
        return None
    waits_for_mailing = message.reason in FOR_MAILING
    decision = decide(message, mailing, client, now, policy)
    if isinstance(decision, Send) and waits_for_mailing:
        return Outcome(message, queued_again(message, due_at=now + queued_grace))
    if isinstance(decision, PutOff) and (decision.reason, decision.until) != (message.reason, message.not_before):
        return carry_out(message, decision, mailing, now)
    if isinstance(decision, End):
        return carry_out(message, decision, mailing, now)
    if isinstance(decision, Leave | Send) and message.not_before is not None and message.not_before > mailing.end_at:
        return Outcome(message, put_off(message, mailing.end_at, message.reason or Reason.RETRY, now=now))
    return None


def settle(
    message: Message,
    answer: Answer,
    mailing: Mailing,
    now: datetime,
    policy: Policy,
    uniform: Uniform,
    *,
    probe: bool = False,
    hold: Hold | None = None,
) -> Outcome:
    """Say what an answer makes of a message.

    `now` is the moment of the answer, `probe` tells that the request was to find out whether the provider is back,
    `hold` is what the breaker says after this answer.
    """
    expires_at = mailing.rows_expire_at
    uncertain = message.uncertain + (answer.kind is AnswerKind.UNCERTAIN)
    held_for_good = answer.kind is AnswerKind.UNCERTAIN and mailing.on_uncertain is OnUncertain.HOLD
    if answer.kind is AnswerKind.UNAUTHORIZED or (probe and is_bad(answer) and not held_for_good):
        # The message is not to blame: no attempt is counted, and the row waits with all others.
        until = hold.until if hold else now + policy.backoff.delay(_OUTAGE_STEP, uniform)
        until = min(until, mailing.end_at)
        waiting = put_off(message, until, Reason.OUTAGE, now=now, uncertain=uncertain, last_error=answer.error)
        return Outcome(message, waiting, answer.error)

    attempts = message.attempts + 1
    since_queued = attempts - message.attempts_before
    last_error = answer.error or message.last_error
    tried: dict[str, Any] = {"attempts": attempts, "uncertain": uncertain, "last_error": last_error}
    if answer.kind is AnswerKind.ACCEPTED:
        after = ended(message, Status.SENT, expires_at=expires_at, sent_at=now, **tried)
    elif answer.kind is AnswerKind.REFUSED:
        after = ended(message, Status.FAILED, Reason.REFUSED, expires_at=expires_at, **tried)
    elif held_for_good:
        after = ended(message, Status.FAILED, Reason.UNCERTAIN, expires_at=expires_at, **tried)
    elif since_queued >= policy.max_attempts:
        after = ended(message, Status.FAILED, Reason.ATTEMPTS, expires_at=expires_at, **tried)
    else:
        wait = answer.retry_after
        if wait is None:
            wait = policy.backoff.delay(since_queued, uniform)
        after = put_off(message, min(now + wait, mailing.end_at), Reason.RETRY, now=now, **tried)
    return Outcome(message, after, answer.error)


_OUTAGE_STEP = 5  # with the defaults a wait of up to 32 s


def _expiry(mailing: Mailing | None) -> datetime | None:
    return mailing.rows_expire_at if mailing else None
