"""Explain a message: why it is where it is, what happens next and when.

It is the rule of the sender (`decide`), asked for now and, where that says "later", asked again for then.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chalicelib.domain import explain_words as words
from chalicelib.domain.breaker import Breaker, hold
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import Decision, End, Leave, Policy, PutOff, Send, decide
from chalicelib.domain.local_window import LocalWindow, next_opening
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message, Reason, Status
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

CLOSED = Breaker()


class Next(StrEnum):
    """What happens next.

    `send`: a request, as soon as a sender is free, or one is under way. `wait`: nothing until `next_at`, without one
    until somebody starts or resumes the mailing. `expire`, `cancel`, `fail`: it ends without a further request.
    `none`: it has ended.
    """

    SEND = "send"
    WAIT = "wait"
    EXPIRE = "expire"
    CANCEL = "cancel"
    FAIL = "fail"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the explanation rests upon; None is what does not apply or is not known any more.

    Attributes:
        local_time: what the clock of the client shows.
        opens_at: when the window opens next; None while it is open.
        attempts_left: open messages only.
        crashes: how often a sender died with the message in hand, since its last outcome.
        not_before: no request before it.
        leased_until: a sender has it in hand until then.
        looked_at_by: the moment after which somebody looks again, whatever was lost.
        provider_down_since: None while requests to it are made.
    """

    mailing_status: MailingStatus | None
    end_at: datetime | None
    window: LocalWindow | None
    timezone: str | None
    local_time: datetime | None
    opens_at: datetime | None
    attempts: int
    attempts_left: int | None
    uncertain: int
    crashes: int
    not_before: datetime | None
    leased_until: datetime | None
    looked_at_by: datetime | None
    provider_down_since: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be said of a message. `next_at` is None where `next` happens at once, never, or at nobody knows when."""

    text: str
    next: Next
    next_at: datetime | None
    facts: Facts


def explain(
    message: Message,
    mailing: Mailing | None,
    client: Client | None,
    now: datetime,
    policy: Policy,
    breaker: Breaker = CLOSED,
) -> Explanation:
    """Explain a message as it is at this moment. No phone and no text of the mailing is in it."""
    facts = _facts(message, mailing, client, now, policy, breaker)
    if not message.is_open:
        return Explanation(words.past(message, mailing, client, now), Next.NONE, None, facts)
    # As a sender would have it that takes it now.
    asked = message if facts.leased_until else replace(message, leases=message.leases + 1)
    if mailing is None or client is None or _is_cancelled(decide(asked, mailing, client, now, policy)):
        next_, next_at, text = Next.CANCEL, None, words.doomed(mailing, client)
    else:
        course = _course(asked, mailing, client, now, policy, breaker)
        next_, next_at = _next(*course[-1], mailing, now)
        text = " ".join(words.step(message, mailing, client, now, breaker, *each) for each in course).strip()
    if facts.leased_until:
        text = words.in_hand(facts.leased_until, "" if next_ is Next.SEND else text)
    return Explanation(text, next_, next_at, facts)


def _is_cancelled(decision: Decision) -> bool:
    return isinstance(decision, End) and decision.status is Status.CANCELLED


def _course(
    asked: Message, mailing: Mailing, client: Client, now: datetime, policy: Policy, breaker: Breaker
) -> list[tuple[datetime, Decision]]:
    """List what the sender would decide now, and then whenever it is to look again, until that is no put-off."""
    course = [(now, decide(asked, mailing, client, now, policy, hold(breaker, now)))]
    while later := _later(course[-1][1], asked, mailing):
        course.append((later, decide(asked, mailing, client, later, policy, hold(breaker, later))))
    return course


def _later(decision: Decision, asked: Message, mailing: Mailing) -> datetime | None:
    """Tell when the sender looks again by itself, None if what is decided holds until somebody changes something."""
    if isinstance(decision, PutOff) and decision.reason is not Reason.PAUSED:
        return decision.until
    if isinstance(decision, Leave) and asked.not_before and decision.why == "not due":
        return min(asked.not_before, mailing.end_at)
    return None


def _next(at: datetime, decision: Decision, mailing: Mailing, now: datetime) -> tuple[Next, datetime | None]:
    later = at if at > now else None
    if isinstance(decision, Send):
        return (Next.WAIT if later else Next.SEND), later
    if isinstance(decision, End):
        return (Next.FAIL, later) if decision.reason else (Next.EXPIRE, mailing.end_at if later else None)
    starts_by_itself = mailing.status is MailingStatus.SCHEDULED and mailing.start_at > now
    return Next.WAIT, (mailing.start_at if starts_by_itself else None)


def _facts(
    message: Message,
    mailing: Mailing | None,
    client: Client | None,
    now: datetime,
    policy: Policy,
    breaker: Breaker,
) -> Facts:
    mailing = mailing if mailing and mailing.status is not MailingStatus.DELETED else None
    window = mailing.window if mailing else None
    local_time = opens_at = None
    try:
        zone = resolve_timezone(client.timezone) if client else None
    except UnknownTimezoneError:
        zone = None
    if zone:
        local_time = now.astimezone(zone)
        opening = next_opening(window, zone, now) if window else now
        opens_at = opening if opening > now else None
    leased = message.lease_until is not None and message.lease_until > now
    tried = message.attempts - message.attempts_before
    return Facts(
        mailing_status=mailing.status if mailing else None,
        end_at=mailing.end_at if mailing else None,
        window=window,
        timezone=client.timezone if client else None,
        local_time=local_time,
        opens_at=opens_at,
        attempts=message.attempts,
        attempts_left=max(policy.max_attempts - tried, 0) if message.is_open else None,
        uncertain=message.uncertain,
        crashes=message.leases - leased,
        not_before=message.not_before,
        leased_until=message.lease_until if leased else None,
        looked_at_by=message.due_at,
        provider_down_since=breaker.since,
    )
