"""What is said of a message in each state it can be in."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.breaker import Breaker, Cause, opened
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import End, Leave, PutOff, Send, decide
from chalicelib.domain.explain import Explanation, Next, explain
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import OPEN, Message, Reason, Status, put_off
from tests.builders import NOW, client, mailing, message
from tests.world import BREAKER_POLICY, POLICY

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TEXT = "a text that nobody else reads"
CLIENT = client()  # in Moscow, where it is 09:00 at NOW; in Yekaterinburg it is 11:00
RUNNING = mailing(status=MailingStatus.RUNNING, start_at=NOW - HOUR, end_at=NOW + 6 * HOUR, text=TEXT)
PAUSED = replace(RUNNING, status=MailingStatus.PAUSED)
QUEUED = message()
ENDED = message(due_at=None, lease_until=None)
END_AT = "2026-11-23 12:00:00 UTC"
NOON = LocalWindow.parse("12:00", "21:00")  # opens at 09:00 UTC in Moscow
NOON_UTC = NOW + 3 * HOUR
EVENING = LocalWindow.parse("19:00", "21:00")  # opens at 16:00 UTC in Moscow, after the end


def ended(status: Status, reason: Reason | None = None, **changes: Any) -> Message:  # noqa: ANN401 - facts by name
    return replace(ENDED, status=status, reason=reason, **changes)


def deferred(reason: Reason, until: datetime, **changes: Any) -> Message:  # noqa: ANN401 - facts by name
    return replace(put_off(QUEUED, until, reason, now=NOW), **changes)


def of(**changes: Any) -> Mailing:  # noqa: ANN401 - facts by name
    return replace(RUNNING, **changes)


AGAIN = " A retry of its mailing queues it again."
OPEN_NOW = "Nothing stands against it: it waits for a sender."
LATE = f"That is too late, for its mailing ends at {END_AT}: it expires then, unless "
CLOSED = "it is 09:00 there, outside the window "
UNTIL_NOON = f"Waits for 12:00 in Europe/Moscow (2026-11-23 09:00:00 UTC): {CLOSED}12:00-21:00."
NO_ZONE = "Its client's time zone 'Mars/Olympus' is unknown, and so when its window is open: it fails when looked at."
IN_HAND = "A sender has it in hand until 2026-11-23 06:01:00 UTC; should that one die, others take over then."
PAUSE = f"Its mailing is paused: it waits until that is resumed, or expires at {END_AT}."
HELD = replace(QUEUED, lease_until=NOW + MINUTE, leases=1)
MARS = replace(CLIENT, timezone="Mars/Olympus")

Case = tuple[str, Message, Mailing | None, Client | None, str, Next, datetime | None]

PAST: list[tuple[str, Message, Mailing | None, Client | None, str]] = [
    (
        "sent",
        ended(Status.SENT, sent_at=NOW - MINUTE, attempts=1),
        RUNNING,
        CLIENT,
        "The provider accepted it at 2026-11-23 05:59:00 UTC, with the first request.",
    ),
    (
        "sent after failures, of a mailing that is gone",
        ended(Status.SENT, sent_at=NOW - MINUTE, attempts=3, last_error="http_503"),
        None,
        None,
        "The provider accepted it at 2026-11-23 05:59:00 UTC, with request 3.",
    ),
    (
        "refused",
        ended(Status.FAILED, Reason.REFUSED, attempts=1, last_error="http_422"),
        RUNNING,
        CLIENT,
        "The provider refused the first request for good (http_422)." + AGAIN,
    ),
    (
        "all attempts failed, and the mailing has finished",
        ended(Status.FAILED, Reason.ATTEMPTS, attempts=20, last_error="http_503"),
        of(status=MailingStatus.FINISHED),
        CLIENT,
        "The last of the requests that were to be made, request 20, has failed (http_503)." + AGAIN,
    ),
    (
        "uncertain and held, and the mailing has ended",
        ended(Status.FAILED, Reason.UNCERTAIN, attempts=2, uncertain=1, last_error="timeout"),
        of(end_at=NOW),
        CLIENT,
        (
            "Nobody knows whether request 2 was taken by the provider (timeout), and its mailing says to hold such a "
            "message rather than to repeat the request."
        ),
    ),
    (
        "no zone, and the mailing is paused",
        ended(Status.FAILED, Reason.TIMEZONE),
        PAUSED,
        MARS,
        "Its client's time zone was unknown, and so when its window was open. No request of it was answered.",
    ),
    (
        "crashes, and the mailing is gone",
        ended(Status.FAILED, Reason.CRASH, attempts=1),
        None,
        CLIENT,
        "Too many senders died with it in hand. 1 request had failed, the last one so: unknown.",
    ),
    (
        "expired without a request",
        ended(Status.EXPIRED),
        of(end_at=NOW, status=MailingStatus.FINISHED),
        CLIENT,
        "Its mailing came to its end before the provider had accepted it. No request of it was answered.",
    ),
    (
        "expired after requests",
        ended(Status.EXPIRED, attempts=4, last_error="timeout"),
        of(end_at=NOW),
        CLIENT,
        (
            "Its mailing came to its end before the provider had accepted it. "
            "4 requests had failed, the last one so: timeout."
        ),
    ),
    (
        "cancelled with its mailing",
        ended(Status.CANCELLED),
        of(status=MailingStatus.CANCELLED),
        CLIENT,
        "Its mailing was cancelled before the provider had accepted it. No request of it was answered.",
    ),
    (
        "cancelled by deletion",
        ended(Status.CANCELLED),
        of(status=MailingStatus.DELETED),
        CLIENT,
        "Its mailing was deleted before the provider had accepted it. No request of it was answered.",
    ),
    (
        "cancelled with its client",
        ended(Status.CANCELLED),
        RUNNING,
        None,
        "Its client was deleted before the provider had accepted it. No request of it was answered.",
    ),
    (
        "cancelled because its client opted out, before its mailing was cancelled",
        ended(Status.CANCELLED, Reason.SUPPRESSED, attempts=1, last_error="http_503"),
        of(status=MailingStatus.CANCELLED),
        replace(CLIENT, suppressed=True),
        ("Its client opted out before the provider had accepted it. 1 request had failed, the last one so: http_503."),
    ),
    (
        "cancelled, nobody knows why, and its client opted out later",
        ended(Status.CANCELLED),
        RUNNING,
        replace(CLIENT, suppressed=True),
        "It was cancelled before the provider had accepted it. No request of it was answered.",
    ),
    (
        "cancelled, nobody knows why",
        ended(Status.CANCELLED),
        RUNNING,
        CLIENT,
        "It was cancelled before the provider had accepted it. No request of it was answered.",
    ),
]

AHEAD: list[Case] = [
    ("queued", QUEUED, RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    ("queued, window open", QUEUED, of(window=LocalWindow.parse("09:00", "21:00")), CLIENT, OPEN_NOW, Next.SEND, None),
    ("in a sender's hands", HELD, RUNNING, CLIENT, IN_HAND, Next.SEND, None),
    ("a sender died with it", replace(HELD, lease_until=NOW), RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    ("queued, window closed", QUEUED, of(window=NOON), CLIENT, UNTIL_NOON, Next.WAIT, NOON_UTC),
    (
        "deferred, window closed",
        deferred(Reason.WINDOW, NOON_UTC),
        of(window=NOON),
        CLIENT,
        UNTIL_NOON,
        Next.WAIT,
        NOON_UTC,
    ),
    (
        "window opens in another zone",
        deferred(Reason.WINDOW, NOW + HOUR),
        of(window=NOON),
        replace(CLIENT, timezone="Asia/Yekaterinburg"),
        (
            "Waits for 12:00 in Asia/Yekaterinburg (2026-11-23 07:00:00 UTC): it is 11:00 there, outside the window "
            "12:00-21:00."
        ),
        Next.WAIT,
        NOW + HOUR,
    ),
    (
        "window opens after the end",
        deferred(Reason.WINDOW, RUNNING.end_at),
        of(window=EVENING),
        CLIENT,
        (
            f"Waits for 19:00 in Europe/Moscow (2026-11-23 16:00:00 UTC): {CLOSED}19:00-21:00. {LATE}"
            "end_at or the window is changed."
        ),
        Next.EXPIRE,
        RUNNING.end_at,
    ),
    (
        "window opens with the last second",
        deferred(Reason.WINDOW, NOON_UTC),
        of(window=NOON, end_at=NOON_UTC + timedelta(seconds=1)),
        CLIENT,
        (
            f"{UNTIL_NOON} That is too late, for its mailing ends at 2026-11-23 09:00:01 UTC: it expires then, unless "
            "end_at or the window is changed."
        ),
        Next.EXPIRE,
        NOON_UTC + timedelta(seconds=1),
    ),
    ("window gone, not swept", deferred(Reason.WINDOW, NOW + HOUR), RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    (
        "window changed, not swept",
        deferred(Reason.WINDOW, NOW + HOUR),
        of(window=NOON),
        CLIENT,
        (
            "Waits for 12:00 in Europe/Moscow (2026-11-23 09:00:00 UTC): it is 09:00 there, "
            "outside the window 12:00-21:00."
        ),
        Next.WAIT,
        NOON_UTC,
    ),
    (
        "end moved before the opening, not swept",
        deferred(Reason.WINDOW, NOW + HOUR),
        of(end_at=NOW + MINUTE),
        CLIENT,
        OPEN_NOW,
        Next.SEND,
        None,
    ),
    (
        "zone unknown by now",
        deferred(Reason.WINDOW, NOW + HOUR),
        of(window=NOON),
        MARS,
        NO_ZONE,
        Next.FAIL,
        None,
    ),
    ("zone unknown", QUEUED, of(window=NOON), MARS, NO_ZONE, Next.FAIL, None),
    ("zone unknown, no window", QUEUED, RUNNING, MARS, OPEN_NOW, Next.SEND, None),
    (
        "retry",
        deferred(Reason.RETRY, NOW + MINUTE, attempts=3, last_error="http_503"),
        RUNNING,
        CLIENT,
        "Request 3 failed (http_503): tried again at 2026-11-23 06:01:00 UTC.",
        Next.WAIT,
        NOW + MINUTE,
    ),
    ("retry that is due", deferred(Reason.RETRY, NOW, attempts=1), RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    (
        "retry into a closed window",
        deferred(Reason.RETRY, NOW + HOUR, attempts=1, last_error="timeout"),
        of(window=LocalWindow.parse("12:00", "09:30")),
        CLIENT,
        (
            "Request 1 failed (timeout): tried again at 2026-11-23 07:00:00 UTC. Then it waits for 12:00 in "
            "Europe/Moscow (2026-11-23 09:00:00 UTC): it will be 10:00 there, outside the window 12:00-09:30."
        ),
        Next.WAIT,
        NOON_UTC,
    ),
    (
        "retry at the end",
        deferred(Reason.RETRY, RUNNING.end_at, attempts=2, last_error="http_429"),
        RUNNING,
        CLIENT,
        f"Request 2 failed (http_429): tried again at {END_AT}. {LATE}end_at is changed.",
        Next.EXPIRE,
        RUNNING.end_at,
    ),
    (
        "after an outage",
        deferred(Reason.OUTAGE, NOW + MINUTE, last_error="http_401"),
        RUNNING,
        CLIENT,
        OPEN_NOW,
        Next.SEND,
        None,
    ),
    ("after a 429", deferred(Reason.RATE, NOW + MINUTE), RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    ("paused", deferred(Reason.PAUSED, RUNNING.end_at), PAUSED, CLIENT, PAUSE, Next.WAIT, None),
    ("paused, not swept", QUEUED, PAUSED, CLIENT, PAUSE, Next.WAIT, None),
    (
        "paused, waiting for a retry",
        deferred(Reason.RETRY, NOW + HOUR),
        PAUSED,
        CLIENT,
        f"Request 0 failed: tried again at 2026-11-23 07:00:00 UTC. {PAUSE}",
        Next.WAIT,
        None,
    ),
    (
        "paused, in a sender's hands",
        HELD,
        PAUSED,
        CLIENT,
        f"{IN_HAND} Unless its request has begun: {PAUSE}",
        Next.WAIT,
        None,
    ),
    ("resumed, not swept", deferred(Reason.PAUSED, RUNNING.end_at), RUNNING, CLIENT, OPEN_NOW, Next.SEND, None),
    (
        "resumed into a closed window, not swept",
        deferred(Reason.PAUSED, RUNNING.end_at),
        of(window=NOON),
        CLIENT,
        UNTIL_NOON,
        Next.WAIT,
        NOON_UTC,
    ),
    (
        "over",
        QUEUED,
        of(end_at=NOW),
        CLIENT,
        (
            "No request may begin any more, for its mailing ends at 2026-11-23 06:00:00 UTC: it expires when it is "
            "looked at next."
        ),
        Next.EXPIRE,
        None,
    ),
    (
        "paused and over",
        deferred(Reason.PAUSED, NOW),
        replace(PAUSED, end_at=NOW),
        CLIENT,
        (
            "No request may begin any more, for its mailing ends at 2026-11-23 06:00:00 UTC: it expires when it is "
            "looked at next."
        ),
        Next.EXPIRE,
        None,
    ),
    (
        "mailing cancelled",
        QUEUED,
        of(status=MailingStatus.CANCELLED),
        CLIENT,
        "Its mailing was cancelled: it is cancelled when a sweep or a sender comes to it.",
        Next.CANCEL,
        None,
    ),
    (
        "mailing deleted",
        deferred(Reason.WINDOW, NOON_UTC),
        of(status=MailingStatus.DELETED),
        CLIENT,
        "Its mailing was deleted: it is cancelled when a sweep or a sender comes to it.",
        Next.CANCEL,
        None,
    ),
    (
        "mailing gone",
        QUEUED,
        None,
        CLIENT,
        "Its mailing was deleted: it is cancelled when a sweep or a sender comes to it.",
        Next.CANCEL,
        None,
    ),
    (
        "client opted out",
        deferred(Reason.WINDOW, NOON_UTC),
        of(window=NOON),
        replace(CLIENT, suppressed=True),
        "Its client has opted out: it is cancelled when a sweep or a sender comes to it.",
        Next.CANCEL,
        None,
    ),
    (
        "client opted out of a mailing that was cancelled",
        QUEUED,
        of(status=MailingStatus.CANCELLED),
        replace(CLIENT, suppressed=True),
        "Its mailing was cancelled: it is cancelled when a sweep or a sender comes to it.",
        Next.CANCEL,
        None,
    ),
    (
        "client deleted, in a sender's hands",
        HELD,
        RUNNING,
        None,
        (
            f"{IN_HAND} Unless its request has begun: "
            "Its client was deleted: it is cancelled when a sweep or a sender comes to it."
        ),
        Next.CANCEL,
        None,
    ),
    (
        "five senders died with it",
        replace(QUEUED, leases=5 + 1, lease_until=NOW),
        RUNNING,
        CLIENT,
        "Too many senders died with it in hand: it fails when it is looked at next.",
        Next.FAIL,
        None,
    ),
    ("in the hands of the last that may", replace(HELD, leases=5), RUNNING, CLIENT, IN_HAND, Next.SEND, None),
    (
        "mailing not started",
        deferred(Reason.RETRY, NOW + MINUTE),
        of(status=MailingStatus.SCHEDULED, start_at=NOW + HOUR),
        CLIENT,
        "Its mailing has not started.",
        Next.WAIT,
        NOW + HOUR,
    ),
    ("draft", QUEUED, of(status=MailingStatus.DRAFT), CLIENT, "Its mailing has not started.", Next.WAIT, None),
]


CASES: list[Case] = [(*case, Next.NONE, None) for case in PAST] + AHEAD


@pytest.mark.parametrize(
    ("row", "of_mailing", "to", "text", "next_", "next_at"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_message_is_explained(
    row: Message, of_mailing: Mailing | None, to: Client | None, text: str, next_: Next, next_at: datetime | None
) -> None:
    explained = explain(row, of_mailing, to, NOW, POLICY)
    assert explained.text == text
    assert (explained.next, explained.next_at) == (next_, next_at)


DOWN = opened(Breaker(), Cause.OUTAGE, NOW - MINUTE, BREAKER_POLICY)
DOWN = replace(DOWN, probe_at=NOW + 8 * SECOND)
SLOWED = Breaker(slowed_until=NOW + MINUTE)
SINCE, PROBE = "2026-11-23 05:59:00 UTC", "2026-11-23 06:00:08 UTC"
SOON = "2026-11-23 06:00:05 UTC"
DOWN_TEXT = f"The provider is down since {SINCE}, which counts as no attempt: tried again at {PROBE}."


@pytest.mark.parametrize(
    ("row", "of_mailing", "breaker", "text", "next_", "next_at"),
    [
        (QUEUED, RUNNING, DOWN, DOWN_TEXT, Next.WAIT, NOW + 8 * SECOND),
        (deferred(Reason.OUTAGE, NOW + MINUTE), RUNNING, DOWN, DOWN_TEXT, Next.WAIT, NOW + 8 * SECOND),
        (
            QUEUED,
            RUNNING,
            replace(DOWN, cause=Cause.TOKEN),
            f"The provider refuses our token since {SINCE}, which counts as no attempt: tried again at {PROBE}.",
            Next.WAIT,
            NOW + 8 * SECOND,
        ),
        (
            deferred(Reason.RATE, NOW + MINUTE),
            RUNNING,
            SLOWED,
            "The provider asked for a pause: no request before 2026-11-23 06:01:00 UTC.",
            Next.WAIT,
            NOW + MINUTE,
        ),
        (
            QUEUED,
            of(end_at=NOW + 5 * SECOND),
            DOWN,
            DOWN_TEXT.replace(PROBE, SOON) + f" {LATE.replace(END_AT, SOON)}end_at is changed.",
            Next.EXPIRE,
            NOW + 5 * SECOND,
        ),
        (QUEUED, of(window=NOON), DOWN, UNTIL_NOON, Next.WAIT, NOON_UTC),
        (QUEUED, PAUSED, DOWN, PAUSE, Next.WAIT, None),
        (QUEUED, RUNNING, replace(DOWN, probe_at=NOW), OPEN_NOW, Next.SEND, None),
    ],
)
def test_a_message_that_the_provider_keeps_waiting_is_explained(
    row: Message, of_mailing: Mailing, breaker: Breaker, text: str, next_: Next, next_at: datetime | None
) -> None:
    explained = explain(row, of_mailing, CLIENT, NOW, POLICY, breaker)
    assert explained.text == text
    assert (explained.next, explained.next_at) == (next_, next_at)
    assert explained.facts.provider_down_since == breaker.since


def test_every_status_and_reason_is_in_the_table() -> None:
    seen = {(row.status, row.reason) for _, row, *_ in CASES}
    assert {status for status, _ in seen} == set(Status)
    assert {reason for _, reason in seen} == {None, *Reason}


# --- Facts


def facts(row: Message, of_mailing: Mailing | None = RUNNING, to: Client | None = CLIENT) -> dict[str, Any]:
    return asdict(explain(row, of_mailing, to, NOW, POLICY).facts)


def test_facts_of_a_message_that_waits_for_its_window() -> None:
    row = deferred(Reason.WINDOW, NOON_UTC, attempts=25, attempts_before=20, uncertain=1, leases=2)
    assert facts(row, of(window=NOON)) == {
        "mailing_status": MailingStatus.RUNNING,
        "end_at": RUNNING.end_at,
        "window": asdict(NOON),
        "timezone": "Europe/Moscow",
        "local_time": NOW,
        "opens_at": NOON_UTC,
        "attempts": 25,
        "attempts_left": 15,
        "uncertain": 1,
        "crashes": 2,
        "not_before": NOON_UTC,
        "leased_until": None,
        "looked_at_by": NOON_UTC,
        "provider_down_since": None,
    }
    assert f"{facts(row)['local_time']:%H:%M}" == "09:00"


def test_a_window_that_is_open_opens_at_no_time() -> None:
    assert facts(QUEUED, of(window=LocalWindow.parse("09:00", "21:00")))["opens_at"] is None


def test_a_lease_counts_as_long_as_it_lasts() -> None:
    assert (facts(HELD)["leased_until"], facts(HELD)["crashes"]) == (NOW + MINUTE, 0)
    over = replace(HELD, lease_until=NOW)
    assert (facts(over)["leased_until"], facts(over)["crashes"]) == (None, 1)


@pytest.mark.parametrize("of_mailing", [None, of(status=MailingStatus.DELETED, window=NOON)])
def test_nothing_is_told_of_a_mailing_that_was_deleted(of_mailing: Mailing | None) -> None:
    told = facts(QUEUED, of_mailing)
    assert [told[name] for name in ("mailing_status", "end_at", "window", "opens_at")] == [None] * 4


@pytest.mark.parametrize(("to", "zone"), [(None, None), (MARS, "Mars/Olympus")])
def test_without_a_zone_there_is_no_local_time(to: Client | None, zone: str | None) -> None:
    told = facts(QUEUED, of(window=NOON), to)
    assert (told["timezone"], told["local_time"], told["opens_at"]) == (zone, None, None)


def test_attempts_are_never_less_than_none() -> None:
    assert facts(replace(QUEUED, attempts=30))["attempts_left"] == 0
    assert facts(ended(Status.FAILED, Reason.ATTEMPTS, attempts=20))["attempts_left"] is None


# --- Always

WINDOWS = st.sampled_from(
    [None, NOON, EVENING, LocalWindow.parse("21:00", "09:30"), LocalWindow.parse("09:00", "09:01")]
)
MOMENTS = st.sampled_from(
    [NOW - HOUR, NOW, NOW + timedelta(seconds=0.5), NOW + MINUTE, NOW + HOUR, NOON_UTC, RUNNING.end_at, NOW + 30 * HOUR]
)
ROWS = st.builds(
    lambda reason, moment, leases, lease_until: replace(
        deferred(reason, moment) if reason else QUEUED, leases=leases, lease_until=lease_until
    ),
    st.sampled_from([None, *list(Reason)[:5]]),
    MOMENTS,
    st.integers(0, 7),
    MOMENTS,
)
MAILINGS = st.none() | st.builds(
    lambda status, window, end_at: of(status=status, window=window, end_at=end_at),
    st.sampled_from(MailingStatus),
    WINDOWS,
    MOMENTS,
)
CLIENTS = st.sampled_from(
    [
        None,
        CLIENT,
        replace(CLIENT, suppressed=True),
        MARS,
        client(timezone="Asia/Yekaterinburg"),
        client(timezone="-12:00"),
    ]
)


@given(ROWS, MAILINGS, CLIENTS)
def test_what_is_foretold_is_what_the_sender_decides_then(
    row: Message, of_mailing: Mailing | None, to: Client | None
) -> None:
    explained = explain(row, of_mailing, to, NOW, POLICY)
    assert row.status in OPEN
    assert explained.next is not Next.NONE
    assert explained.next_at is None or explained.next_at > NOW
    assert_foretold(explained, row, of_mailing, to)
    assert explained.text.endswith(".")
    for secret in (TEXT, CLIENT.phone, CLIENT.phone[:7]):
        assert secret not in repr(explained)


def assert_foretold(explained: Explanation, row: Message, of_mailing: Mailing | None, to: Client | None) -> None:
    """Fail unless a sender that takes the row at `next_at`, or at once, does what is foretold."""
    leased = replace(row, leases=row.leases + (explained.facts.leased_until is None))
    if row.reason is Reason.PAUSED or explained.next_at:
        leased = replace(leased, not_before=None)  # the sweep of a resumption, or the wait that is over by then
    decision = decide(leased, of_mailing, to, explained.next_at or NOW, POLICY)
    match explained.next:
        case Next.SEND:
            assert isinstance(decision, Send)
        case Next.WAIT if explained.next_at is None:
            assert isinstance(decision, PutOff | Leave)
        case Next.WAIT:
            assert isinstance(decision, Send | Leave)
        case Next.CANCEL:
            assert isinstance(decision, End)
            assert decision.status is Status.CANCELLED
        case Next.EXPIRE:
            assert decision == End(Status.EXPIRED)
        case _:
            assert isinstance(decision, End)
            assert decision.status is Status.FAILED
