from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import (
    END_MARGIN,
    Decision,
    End,
    Leave,
    PutOff,
    Send,
    carry_out,
    decide,
    follow,
    settle,
)
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status
from tests.builders import NOW, client, mailing, message
from tests.world import POLICY, QUEUED_GRACE, middle

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CLIENT = client()  # in Moscow, where it is 09:00 at NOW
RUNNING = mailing(status=MailingStatus.RUNNING)
LEASED = message(lease_until=NOW + 30 * SECOND, leases=1, version="mine")
OPEN_WINDOW = LocalWindow.parse("09:00", "21:00")
LATER_WINDOW = LocalWindow.parse("10:00", "21:00")
ENDED = [Status.SENT, Status.FAILED, Status.EXPIRED, Status.CANCELLED]

CANCEL = End(Status.CANCELLED)
EXPIRE = End(Status.EXPIRED)
CRASH = End(Status.FAILED, Reason.CRASH)
NO_ZONE = End(Status.FAILED, Reason.TIMEZONE)
NOT_DUE = Leave("not due")
NOT_STARTED = Leave("not started")
PAUSE = PutOff(RUNNING.end_at, Reason.PAUSED)
AT_TEN = PutOff(NOW + timedelta(hours=1), Reason.WINDOW)

# The facts that lead to each decision, in order of precedence: the first that is given decides.
RULES: list[tuple[str, Decision]] = [
    ("ended", Leave("ended")),
    ("no mailing", CANCEL),
    ("cancelled", CANCEL),
    ("deleted", CANCEL),
    ("no client", CANCEL),
    ("suppressed", End(Status.CANCELLED, Reason.SUPPRESSED)),
    ("over", EXPIRE),
    ("draft", NOT_STARTED),
    ("scheduled", NOT_STARTED),
    ("not due", NOT_DUE),
    ("paused", PAUSE),
    ("crashes", CRASH),
    ("no zone", NO_ZONE),
    ("window", AT_TEN),
]
STATUS_OF = {
    "cancelled": MailingStatus.CANCELLED,
    "deleted": MailingStatus.DELETED,
    "paused": MailingStatus.PAUSED,
    "draft": MailingStatus.DRAFT,
    "scheduled": MailingStatus.SCHEDULED,
}


def decide_with(facts: set[str]) -> Decision:
    """Decide where the facts hold; of several states of a mailing, it is in the first."""
    row, of, to = LEASED, RUNNING, CLIENT
    states = [fact for fact, _ in RULES if fact in facts & STATUS_OF.keys()]
    if states:
        of = replace(of, status=STATUS_OF[states[0]])
    if "ended" in facts:
        row = replace(row, status=Status.SENT)
    if "over" in facts:
        of = replace(of, end_at=NOW)
    if "crashes" in facts:
        row = replace(row, leases=6)
    if "not due" in facts:
        row = replace(row, not_before=NOW + MINUTE)
    if facts & {"window", "no zone"}:
        of = replace(of, window=LATER_WINDOW)
    if "no zone" in facts:
        to = replace(to, timezone="Mars/Olympus")
    if "suppressed" in facts:
        to = replace(to, suppressed=True)
    return decide(row, None if "no mailing" in facts else of, None if "no client" in facts else to, NOW, POLICY)


@pytest.mark.parametrize(("fact", "decision"), RULES)
def test_each_fact_alone_decides(fact: str, decision: Decision) -> None:
    assert decide_with({fact}) == decision


@given(st.sets(st.sampled_from([fact for fact, _ in RULES]), min_size=1))
def test_of_several_facts_the_first_decides(facts: set[str]) -> None:
    assert decide_with(facts) == next(decision for fact, decision in RULES if fact in facts)


def test_nothing_against_it_means_send() -> None:
    assert decide_with(set()) == Send(NOW + 10 * SECOND, RUNNING, CLIENT)


@pytest.mark.parametrize("status", ENDED)
def test_what_has_ended_is_left_alone_whatever_became_of_the_mailing(status: Status) -> None:
    ended = replace(LEASED, status=status)
    assert decide(ended, RUNNING, CLIENT, NOW, POLICY) == Leave("ended")
    assert decide(ended, None, None, NOW, POLICY) == Leave("ended")


def test_a_finished_mailing_sends_what_is_still_open() -> None:
    assert isinstance(decide(LEASED, replace(RUNNING, status=MailingStatus.FINISHED), CLIENT, NOW, POLICY), Send)


# --- The end of the mailing


@pytest.mark.parametrize(
    ("left", "decision"),
    [
        (timedelta(0), EXPIRE),
        (-SECOND, EXPIRE),
        (SECOND, EXPIRE),
        (END_MARGIN, EXPIRE),
        (END_MARGIN + MS, END_MARGIN + MS),
        (9 * SECOND, 9 * SECOND),
        (10 * SECOND, 10 * SECOND),
        (11 * SECOND, 10 * SECOND),
    ],
)
def test_no_request_starts_within_a_second_of_the_end_or_lasts_beyond_it(
    left: timedelta, decision: End | timedelta
) -> None:
    ending = replace(RUNNING, end_at=NOW + left)
    wanted = decision if isinstance(decision, End) else Send(NOW + decision, ending, CLIENT)
    assert decide(LEASED, ending, CLIENT, NOW, POLICY) == wanted


@given(st.datetimes(NOW.replace(tzinfo=None), (NOW + 20 * SECOND).replace(tzinfo=None), timezones=st.just(UTC)))
def test_the_end_is_kept_at_every_moment(now: datetime) -> None:
    ending = replace(RUNNING, end_at=NOW + 15 * SECOND)
    decision = decide(LEASED, ending, CLIENT, now, POLICY)
    if now >= ending.end_at - END_MARGIN:
        assert decision == EXPIRE
    else:
        assert isinstance(decision, Send)
        assert now + END_MARGIN < decision.deadline <= min(ending.end_at, now + POLICY.request_timeout)


# --- Takeovers, waits


@pytest.mark.parametrize(("takeovers", "sent"), [(0, True), (1, True), (4, True), (5, False), (6, False)])
def test_five_takeovers_are_too_many(takeovers: int, sent: bool) -> None:  # noqa: FBT001 - a column of the table
    decision = decide(replace(LEASED, leases=1 + takeovers), RUNNING, CLIENT, NOW, POLICY)
    assert decision == (Send(NOW + 10 * SECOND, RUNNING, CLIENT) if sent else CRASH)


@pytest.mark.parametrize(
    ("wait", "early"), [(SECOND + MS, True), (MINUTE, True), (SECOND, False), (timedelta(0), False), (-MINUTE, False)]
)
def test_a_message_is_not_sent_more_than_a_second_before_its_time(wait: timedelta, early: bool) -> None:  # noqa: FBT001
    waiting = replace(LEASED, status=Status.DEFERRED, reason=Reason.RETRY, not_before=NOW + wait)
    assert (decide(waiting, RUNNING, CLIENT, NOW, POLICY) == NOT_DUE) == early


# --- The window


def in_window(window: LocalWindow, zone: str, end_at: datetime = RUNNING.end_at) -> Decision:
    of = replace(RUNNING, window=window, end_at=end_at)
    return decide(LEASED, of, replace(CLIENT, timezone=zone), NOW, POLICY)


def test_within_the_window_it_is_sent() -> None:
    assert isinstance(in_window(OPEN_WINDOW, "Europe/Moscow"), Send)


def test_the_window_is_that_of_the_clients_zone() -> None:
    assert in_window(OPEN_WINDOW, "Europe/London") == PutOff(NOW + timedelta(hours=3), Reason.WINDOW)
    assert isinstance(in_window(OPEN_WINDOW, "+05:00"), Send)


def test_a_window_that_opens_after_the_end_waits_for_the_end() -> None:
    end_at = NOW + timedelta(minutes=30)
    assert in_window(LATER_WINDOW, "Europe/Moscow", end_at=end_at) == PutOff(end_at, Reason.WINDOW)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "localtime", "europe/moscow", "+15:00", "../etc/passwd"])
def test_a_zone_that_does_not_resolve_never_means_send(zone: str) -> None:
    assert in_window(OPEN_WINDOW, zone) == NO_ZONE


def test_without_a_window_the_zone_does_not_matter() -> None:
    assert isinstance(decide(LEASED, RUNNING, replace(CLIENT, timezone="Mars/Olympus"), NOW, POLICY), Send)


# --- Decisions against a request


def test_putting_off_changes_the_row_and_counts_no_attempt() -> None:
    outcome = carry_out(LEASED, AT_TEN, RUNNING, NOW)
    assert outcome.before is LEASED
    assert outcome.error is None
    after = outcome.after
    assert (after.status, after.reason, after.not_before) == (Status.DEFERRED, Reason.WINDOW, AT_TEN.until)
    assert (after.due_at, after.lease_until, after.attempts) == (AT_TEN.until, UNLEASED, 0)


@pytest.mark.parametrize("end", [CANCEL, EXPIRE, CRASH, NO_ZONE])
def test_ending_keeps_the_row_as_long_as_its_mailing_says(end: End) -> None:
    after = carry_out(LEASED, end, RUNNING, NOW).after
    assert (after.status, after.reason, after.expires_at) == (end.status, end.reason, RUNNING.rows_expire_at)


def test_the_row_of_a_mailing_that_is_gone_ends_too() -> None:
    after = carry_out(LEASED, CANCEL, None, NOW).after
    assert (after.status, after.expires_at) == (Status.CANCELLED, None)


# --- Rows follow a change of their mailing

QUEUED = message()
PAUSED = replace(RUNNING, status=MailingStatus.PAUSED)
WINDOWED = replace(RUNNING, window=LATER_WINDOW)
STOPPED = [replace(RUNNING, status=status) for status in (MailingStatus.CANCELLED, MailingStatus.DELETED)]
ENDING = replace(RUNNING, end_at=NOW + 5 * MINUTE)


def waiting(reason: Reason, until: datetime) -> Message:
    return message(status=Status.DEFERRED, reason=reason, not_before=until, due_at=until + 2 * MINUTE)


OF_RETRY = waiting(Reason.RETRY, NOW + 10 * MINUTE)
OF_OUTAGE = waiting(Reason.OUTAGE, NOW + 10 * MINUTE)
OF_RATE = waiting(Reason.RATE, NOW + 10 * MINUTE)
OF_WINDOW = waiting(Reason.WINDOW, AT_TEN.until)
OF_PAUSE = waiting(Reason.PAUSED, RUNNING.end_at)
OPEN_ROWS = [QUEUED, OF_RETRY, OF_OUTAGE, OF_RATE, OF_WINDOW, OF_PAUSE]
BACK_OFF = [OF_RETRY, OF_OUTAGE, OF_RATE]


def followed(row: Message, of: Mailing, to: Client | None = CLIENT, now: datetime = NOW) -> Message | None:
    outcome = follow(row, of, to, now, POLICY, QUEUED_GRACE)
    if outcome is None:
        return None
    assert outcome.before is row
    assert outcome.error is None
    return outcome.after


@pytest.mark.parametrize("row", OPEN_ROWS)
@pytest.mark.parametrize("of", [RUNNING, PAUSED, WINDOWED, *STOPPED, replace(RUNNING, end_at=NOW)])
def test_a_row_that_a_sender_holds_is_left_to_it(row: Message, of: Mailing) -> None:
    assert followed(replace(row, lease_until=NOW + MS, leases=1), of) is None
    assert followed(replace(row, lease_until=NOW + MS, leases=1), of, None) is None


@pytest.mark.parametrize("status", ENDED)
@pytest.mark.parametrize("of", [RUNNING, PAUSED, WINDOWED, *STOPPED])
def test_a_row_that_has_ended_follows_nothing(status: Status, of: Mailing) -> None:
    assert followed(message(status=status, due_at=None, lease_until=None), of) is None


@pytest.mark.parametrize("row", [QUEUED, OF_WINDOW])
def test_open_rows_follow_a_pause_until_the_end(row: Message) -> None:
    after = followed(row, PAUSED)
    assert after is not None
    assert (after.status, after.reason, after.not_before) == (Status.DEFERRED, Reason.PAUSED, PAUSED.end_at)
    assert after.due_at == PAUSED.end_at
    assert followed(OF_PAUSE, PAUSED) is None


def test_what_waits_for_a_retry_follows_a_pause_when_its_time_comes() -> None:
    assert followed(OF_RETRY, PAUSED) is None
    after = followed(OF_RETRY, PAUSED, now=NOW + 10 * MINUTE)
    assert after is not None
    assert (after.reason, after.not_before) == (Reason.PAUSED, PAUSED.end_at)


def test_rows_of_a_paused_mailing_follow_its_end() -> None:
    after = followed(OF_PAUSE, replace(PAUSED, end_at=NOW + timedelta(hours=2)))
    assert after is not None
    assert (after.reason, after.not_before) == (Reason.PAUSED, NOW + timedelta(hours=2))


@pytest.mark.parametrize("row", [OF_WINDOW, OF_PAUSE])
def test_what_waited_for_what_is_over_is_queued(row: Message) -> None:
    assert followed(row, RUNNING) == message(due_at=NOW + QUEUED_GRACE)


def test_what_waited_for_the_end_of_a_pause_waits_for_the_window_then() -> None:
    after = followed(OF_PAUSE, WINDOWED)
    assert after is not None
    assert (after.reason, after.not_before) == (Reason.WINDOW, AT_TEN.until)


@pytest.mark.parametrize("row", [QUEUED, *BACK_OFF])
def test_what_waits_for_neither_goes_its_way(row: Message) -> None:
    assert followed(row, RUNNING) is None


@pytest.mark.parametrize("row", [OF_OUTAGE, OF_RATE])
def test_what_waits_for_the_provider_follows_a_pause_and_a_window_at_once(row: Message) -> None:
    paused, windowed = followed(row, PAUSED), followed(row, WINDOWED)
    assert paused is not None
    assert windowed is not None
    assert (paused.reason, windowed.reason) == (Reason.PAUSED, Reason.WINDOW)


def test_what_waits_for_a_retry_is_not_asked_about_the_window_before_its_time() -> None:
    assert followed(OF_RETRY, WINDOWED) is None
    after = followed(OF_RETRY, WINDOWED, now=NOW + 10 * MINUTE)
    assert after is not None
    assert (after.reason, after.not_before) == (Reason.WINDOW, AT_TEN.until)


def test_a_queued_row_follows_a_window_that_is_closed() -> None:
    after = followed(QUEUED, WINDOWED)
    assert after is not None
    assert (after.status, after.reason, after.not_before) == (Status.DEFERRED, Reason.WINDOW, AT_TEN.until)


def test_a_row_that_waits_for_the_window_follows_it() -> None:
    assert followed(OF_WINDOW, WINDOWED) is None
    at_eleven = followed(OF_WINDOW, replace(RUNNING, window=LocalWindow.parse("11:00", "21:00")))
    assert at_eleven is not None
    assert (at_eleven.reason, at_eleven.not_before) == (Reason.WINDOW, NOW + timedelta(hours=2))


def test_a_row_that_waits_for_the_window_follows_the_zone_of_its_client() -> None:
    queued = followed(OF_WINDOW, WINDOWED, replace(CLIENT, timezone="+05:00"))
    assert queued is not None
    assert queued.status is Status.QUEUED
    failed = followed(OF_WINDOW, WINDOWED, replace(CLIENT, timezone="Mars/Olympus"))
    assert failed is not None
    assert (failed.status, failed.reason) == (Status.FAILED, Reason.TIMEZONE)


@pytest.mark.parametrize("row", BACK_OFF)
def test_what_backs_off_waits_no_longer_than_until_the_new_end(row: Message) -> None:
    after = followed(row, ENDING)
    assert after is not None
    assert (after.status, after.reason, after.not_before) == (Status.DEFERRED, row.reason, ENDING.end_at)
    assert followed(after, ENDING) is None


def test_a_window_that_opens_after_the_new_end_is_waited_for_no_longer_than_that() -> None:
    after = followed(OF_WINDOW, replace(WINDOWED, end_at=ENDING.end_at))
    assert after is not None
    assert (after.reason, after.not_before) == (Reason.WINDOW, ENDING.end_at)


@pytest.mark.parametrize("row", OPEN_ROWS)
def test_open_rows_of_what_is_over_end(row: Message) -> None:
    for of in STOPPED:
        after = followed(row, of)
        assert after is not None
        assert (after.status, after.reason, after.expires_at) == (Status.CANCELLED, None, of.rows_expire_at)
    for of in (replace(RUNNING, end_at=NOW), replace(PAUSED, end_at=NOW)):
        after = followed(row, of)
        assert after is not None
        assert (after.status, after.reason) == (Status.EXPIRED, None)
    after = followed(row, RUNNING, None)
    assert after is not None
    assert after.status is Status.CANCELLED


def test_a_dead_lease_does_not_keep_a_row_from_following() -> None:
    dead = replace(QUEUED, lease_until=NOW - MS, leases=2)
    after = followed(dead, PAUSED)
    assert after is not None
    assert (after.reason, after.leases, after.lease_until) == (Reason.PAUSED, 0, UNLEASED)
    assert followed(dead, RUNNING) is None


@pytest.mark.parametrize("row", [OF_WINDOW, OF_PAUSE])
def test_what_the_mailing_made_wait_is_sent_when_it_may_be_whatever_moment_was_meant_then(row: Message) -> None:
    """Its sweep may have missed the row while a sender held it; the next ticket must not find it early."""
    assert isinstance(decide(row, RUNNING, CLIENT, NOW, POLICY), Send)
    assert decide(row, WINDOWED, CLIENT, NOW, POLICY) == AT_TEN


@given(
    st.sampled_from(OPEN_ROWS),
    st.sampled_from(MailingStatus),
    st.sampled_from([None, OPEN_WINDOW, LATER_WINDOW]),
    st.timedeltas(timedelta(), timedelta(days=2)),
    st.timedeltas(timedelta(), timedelta(days=2)),
    st.sampled_from(["Europe/Moscow", "+05:00", "Mars/Olympus"]),
)
def test_who_has_followed_has_nothing_more_to_follow(
    row: Message,
    status: MailingStatus,
    window: LocalWindow | None,
    passed: timedelta,
    left: timedelta,
    zone: str,
) -> None:
    now = NOW + passed
    of = replace(RUNNING, status=status, window=window, end_at=now + left)
    to = replace(CLIENT, timezone=zone)
    after = followed(row, of, to, now)
    if after is None:
        return
    assert followed(after, of, to, now) is None
    assert (after.attempts, after.uncertain, after.sent_at) == (row.attempts, row.uncertain, row.sent_at)
    if after.not_before is not None:
        assert after.not_before <= of.end_at
        assert after.reason is not None
    assert after.is_open == (after.due_at is not None) == (after.lease_until is not None)


# --- Answers

WAIT = 7 * SECOND


def settled(answer: Answer, row: Message = LEASED, of: Mailing = RUNNING, now: datetime = NOW) -> Outcome:
    outcome = settle(row, answer, of, now, POLICY, middle)
    assert outcome.before is row
    assert outcome.error == answer.error
    return outcome


def test_accepted_is_sent() -> None:
    after = settled(Answer(AnswerKind.ACCEPTED, status=200), replace(LEASED, attempts=1, last_error="timeout")).after
    assert (after.status, after.reason, after.sent_at) == (Status.SENT, None, NOW)
    assert (after.attempts, after.uncertain, after.last_error) == (2, 0, "timeout")
    assert (after.due_at, after.lease_until, after.expires_at) == (None, None, RUNNING.rows_expire_at)


def test_refused_has_failed() -> None:
    after = settled(Answer(AnswerKind.REFUSED, "http_400", 400)).after
    assert (after.status, after.reason) == (Status.FAILED, Reason.REFUSED)
    assert (after.attempts, after.last_error, after.expires_at) == (1, "http_400", RUNNING.rows_expire_at)


RETRIED = [AnswerKind.BROKEN, AnswerKind.BUSY, AnswerKind.UNREACHABLE, AnswerKind.UNCERTAIN]


@pytest.mark.parametrize("kind", RETRIED)
def test_what_may_pass_is_tried_again(kind: AnswerKind) -> None:
    after = settled(Answer(kind, "some_error"), replace(LEASED, attempts=2, uncertain=1)).after
    assert (after.status, after.reason) == (Status.DEFERRED, Reason.RETRY)
    assert (after.attempts, after.last_error) == (3, "some_error")
    assert after.uncertain == 1 + (kind is AnswerKind.UNCERTAIN)
    assert after.not_before == NOW + 4 * SECOND  # in the middle of 0 and 2 s × 2 × 2
    assert after.due_at == NOW + 4 * SECOND + 2 * MINUTE


def test_every_kind_of_answer_has_a_test() -> None:
    others = [AnswerKind.ACCEPTED, AnswerKind.REFUSED, AnswerKind.UNAUTHORIZED]
    assert sorted(RETRIED + others) == sorted(AnswerKind)


def test_retry_after_is_kept_to() -> None:
    after = settled(Answer(AnswerKind.BUSY, "http_429", 429, retry_after=WAIT)).after
    assert after.not_before == NOW + WAIT


def test_retry_after_nothing_is_at_once() -> None:
    assert settled(Answer(AnswerKind.BUSY, "http_429", 429, retry_after=timedelta())).after.not_before == NOW


@pytest.mark.parametrize("retry_after", [None, timedelta(days=30)])
def test_a_retry_waits_no_longer_than_until_the_end(retry_after: timedelta | None) -> None:
    ending = replace(RUNNING, end_at=NOW + SECOND / 2)
    after = settled(Answer(AnswerKind.BUSY, "http_503", 503, retry_after=retry_after), of=ending).after
    assert (after.status, after.not_before) == (Status.DEFERRED, ending.end_at)


def test_an_answer_that_comes_at_the_end_leaves_the_row_to_expire() -> None:
    after = settled(Answer(AnswerKind.UNCERTAIN, "timeout"), of=replace(RUNNING, end_at=NOW - MS)).after
    assert (after.status, after.not_before) == (Status.DEFERRED, NOW - MS)
    assert decide(after, replace(RUNNING, end_at=NOW - MS), CLIENT, NOW, POLICY) == EXPIRE


@pytest.mark.parametrize("kind", RETRIED)
def test_attempts_are_limited(kind: AnswerKind) -> None:
    last = replace(LEASED, attempts=POLICY.max_attempts - 1)
    after = settled(Answer(kind, "some_error"), last).after
    assert (after.status, after.reason, after.attempts) == (Status.FAILED, Reason.ATTEMPTS, POLICY.max_attempts)
    assert after.expires_at == RUNNING.rows_expire_at
    assert settled(Answer(kind, "some_error"), replace(last, attempts=last.attempts - 1)).after.is_open


def test_attempts_before_the_row_was_queued_again_by_hand_do_not_count_against_it() -> None:
    budget = POLICY.max_attempts
    again = replace(LEASED, attempts=budget + 2, attempts_before=budget + 2)
    after = settled(Answer(AnswerKind.BUSY, "http_503", 503), again).after
    assert (after.status, after.attempts, after.attempts_before) == (Status.DEFERRED, budget + 3, budget + 2)
    assert after.not_before == NOW + SECOND  # in the middle of 0 and 2 s: the first wait
    last = replace(again, attempts=2 * budget + 1)
    after = settled(Answer(AnswerKind.BUSY, "http_503", 503), last).after
    assert (after.status, after.reason) == (Status.FAILED, Reason.ATTEMPTS)


def test_the_last_attempt_may_succeed() -> None:
    last = replace(LEASED, attempts=POLICY.max_attempts - 1)
    assert settled(Answer(AnswerKind.ACCEPTED), last).after.status is Status.SENT


def test_where_the_mailing_says_hold_uncertainty_is_not_tried_again() -> None:
    holding = replace(RUNNING, on_uncertain=OnUncertain.HOLD)
    after = settled(Answer(AnswerKind.UNCERTAIN, "timeout"), of=holding).after
    assert (after.status, after.reason, after.uncertain) == (Status.FAILED, Reason.UNCERTAIN, 1)
    assert (after.attempts, after.expires_at) == (1, RUNNING.rows_expire_at)


@pytest.mark.parametrize("kind", [AnswerKind.BROKEN, AnswerKind.BUSY, AnswerKind.UNREACHABLE])
def test_hold_does_not_mean_what_certainly_did_not_arrive(kind: AnswerKind) -> None:
    assert settled(Answer(kind, "some_error"), of=replace(RUNNING, on_uncertain=OnUncertain.HOLD)).after.is_open


def test_a_token_that_is_refused_counts_no_attempt() -> None:
    last = replace(LEASED, attempts=POLICY.max_attempts - 1)
    after = settled(Answer(AnswerKind.UNAUTHORIZED, "http_401", 401), last).after
    assert (after.status, after.reason, after.attempts) == (Status.DEFERRED, Reason.OUTAGE, last.attempts)
    assert (after.last_error, after.not_before) == ("http_401", NOW + 16 * SECOND)


def test_an_outage_lasts_no_longer_than_until_the_end() -> None:
    ending = replace(RUNNING, end_at=NOW + SECOND)
    assert settled(Answer(AnswerKind.UNAUTHORIZED, "http_401", 401), of=ending).after.not_before == ending.end_at


@given(
    st.builds(
        Answer,
        st.sampled_from(AnswerKind),
        st.none() | st.just("some_error"),
        retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=60)),
    ),
    st.integers(0, 25),
    st.timedeltas(-SECOND, timedelta(days=30)),
    st.sampled_from(OnUncertain),
)
def test_any_answer_leaves_the_row_ended_or_due(
    answer: Answer, attempts: int, left: timedelta, on_uncertain: OnUncertain
) -> None:
    of = replace(RUNNING, end_at=NOW + left, on_uncertain=on_uncertain)
    after = settled(answer, replace(LEASED, attempts=attempts), of).after
    if after.is_open:
        assert after.due_at is not None
        assert after.not_before is not None
        assert after.not_before <= after.due_at
        assert after.not_before <= of.end_at
        assert after.lease_until == UNLEASED
    else:
        assert (after.due_at, after.not_before, after.lease_until) == (None, None, None)
        assert (after.status is Status.SENT) == (after.sent_at is not None)


def test_the_client_that_is_asked_for_is_the_one_of_the_decision() -> None:
    moved = replace(CLIENT, phone="79990000000", version=2)
    decision = decide(LEASED, RUNNING, moved, NOW, POLICY)
    assert isinstance(decision, Send)
    assert decision.client is moved


@pytest.mark.parametrize("row", OPEN_ROWS)
def test_open_rows_follow_the_suppression_of_their_client(row: Message) -> None:
    after = followed(row, RUNNING, replace(CLIENT, suppressed=True))
    assert after is not None
    assert (after.status, after.reason, after.due_at) == (Status.CANCELLED, Reason.SUPPRESSED, None)
