"""The words of an explanation: what became of a message, and what is ahead of it."""

from datetime import datetime

from chalicelib.domain.breaker import Breaker, Cause
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import FOR_PROVIDER, Decision, End, Leave, PutOff
from chalicelib.domain.local_window import LocalWindow, next_opening
from chalicelib.domain.mailing import STOPPED, Mailing, MailingStatus
from chalicelib.domain.message import Message, Reason, Status
from chalicelib.domain.timezone import resolve_timezone

RETRIABLE = frozenset({MailingStatus.RUNNING, MailingStatus.FINISHED})


def past(message: Message, mailing: Mailing | None, client: Client | None, now: datetime) -> str:
    """Say what became of a message that has ended."""
    if message.status is Status.SENT:
        return f"The provider accepted it at {_utc(message.sent_at)}, with {_request(message)}."
    if message.status is Status.EXPIRED:
        return f"Its mailing came to its end before the provider had accepted it. {_tried(message)}"
    if message.status is Status.CANCELLED:
        suppressed = message.reason is Reason.SUPPRESSED
        why = "Its client opted out" if suppressed else _why_cancelled(mailing, client)
        return f"{why} before the provider had accepted it. {_tried(message)}"
    retriable = mailing is not None and mailing.status in RETRIABLE and now < mailing.end_at
    again = "A retry of its mailing queues it again."
    return f"{_why_failed(message)} {again}" if retriable else _why_failed(message)


def doomed(mailing: Mailing | None, client: Client | None) -> str:
    """Say why an open message is to be cancelled."""
    stopped = mailing is None or mailing.status in STOPPED
    opted_out = client is not None and client.suppressed and not stopped
    why = "Its client has opted out" if opted_out else _why_cancelled(mailing, client)
    return f"{why}: it is cancelled when a sweep or a sender comes to it."


def in_hand(leased_until: datetime, otherwise: str) -> str:
    """Say that a sender holds it, and what becomes of it if the sender has not begun a request."""
    hand = f"A sender has it in hand until {_utc(leased_until)}; should that one die, others take over then."
    unless = f"Unless its request has begun: {otherwise}"
    return f"{hand} {unless}" if otherwise else hand


def step(
    message: Message,
    mailing: Mailing,
    client: Client,
    now: datetime,
    breaker: Breaker,
    at: datetime,
    decision: Decision,
) -> str:
    """Say what is decided of an open message now, or at a later moment; nothing of a request that follows a wait."""
    later = at > now
    if isinstance(decision, End):
        return _ending(mailing, client, decision, later=later)
    if isinstance(decision, PutOff):
        if mailing.window is not None and decision.reason is Reason.WINDOW:
            return _closed(mailing.window, client, at, later=later)
        if decision.reason in FOR_PROVIDER:
            return _held(decision, breaker)
        return f"Its mailing is paused: it waits until that is resumed, or expires at {_utc(decision.until)}."
    if isinstance(decision, Leave):
        return _waiting(message) if decision.why == "not due" else "Its mailing has not started."
    return "" if later else "Nothing stands against it: it waits for a sender."


def _ending(mailing: Mailing, client: Client, decision: End, *, later: bool) -> str:
    if decision.reason is Reason.CRASH:
        return "Too many senders died with it in hand: it fails when it is looked at next."
    if decision.reason is Reason.TIMEZONE:
        zone = client.timezone
        return f"Its client's time zone {zone!r} is unknown, and so when its window is open: it fails when looked at."
    ends = f"its mailing ends at {_utc(mailing.end_at)}"
    if not later:
        return f"No request may begin any more, for {ends}: it expires when it is looked at next."
    change = "end_at or the window" if mailing.window else "end_at"
    return f"That is too late, for {ends}: it expires then, unless {change} is changed."


def _closed(window: LocalWindow, client: Client, at: datetime, *, later: bool) -> str:
    zone = resolve_timezone(client.timezone)
    opens_at = next_opening(window, zone, at)
    opens = f"{opens_at.astimezone(zone):%H:%M} in {client.timezone} ({_utc(opens_at)})"
    there, hours = f"{at.astimezone(zone):%H:%M}", f"{window.opens_at:%H:%M}-{window.closes_at:%H:%M}"
    if later:
        return f"Then it waits for {opens}: it will be {there} there, outside the window {hours}."
    return f"Waits for {opens}: it is {there} there, outside the window {hours}."


def _held(decision: PutOff, breaker: Breaker) -> str:
    then = _utc(decision.until)
    if decision.reason is Reason.RATE:
        return f"The provider asked for a pause: no request before {then}."
    since = _utc(breaker.since)
    if breaker.cause is Cause.TOKEN:
        return f"The provider refuses our token since {since}, which counts as no attempt: tried again at {then}."
    return f"The provider is down since {since}, which counts as no attempt: tried again at {then}."


def _waiting(message: Message) -> str:
    then = _utc(message.not_before)
    return f"Request {message.attempts} failed{_error(message)}: tried again at {then}."


def _why_cancelled(mailing: Mailing | None, client: Client | None) -> str:
    if mailing is None or mailing.status is MailingStatus.DELETED:
        return "Its mailing was deleted"
    if mailing.status is MailingStatus.CANCELLED:
        return "Its mailing was cancelled"
    return "It was cancelled" if client else "Its client was deleted"


def _why_failed(message: Message) -> str:
    if message.reason is Reason.REFUSED:
        return f"The provider refused {_request(message)} for good{_error(message)}."
    if message.reason is Reason.ATTEMPTS:
        return f"The last of the requests that were to be made, {_request(message)}, has failed{_error(message)}."
    if message.reason is Reason.UNCERTAIN:
        return (
            f"Nobody knows whether {_request(message)} was taken by the provider{_error(message)}, and its mailing "
            "says to hold such a message rather than to repeat the request."
        )
    if message.reason is Reason.TIMEZONE:
        return f"Its client's time zone was unknown, and so when its window was open. {_tried(message)}"
    return f"Too many senders died with it in hand. {_tried(message)}"


def _tried(message: Message) -> str:
    if not message.attempts:
        return "No request of it was answered."
    requests = "1 request" if message.attempts == 1 else f"{message.attempts} requests"
    return f"{requests} had failed, the last one so: {message.last_error or 'unknown'}."


def _request(message: Message) -> str:
    return "the first request" if message.attempts == 1 else f"request {message.attempts}"


def _error(message: Message) -> str:
    return f" ({message.last_error})" if message.last_error else ""


def _utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
