from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.delivery import End, PutOff, carry_out, settle
from chalicelib.domain.mailing import MailingStatus, OnUncertain
from chalicelib.domain.message import (
    OPEN,
    UNLEASED,
    Message,
    Outcome,
    Reason,
    Status,
    counter_changes,
    ended,
    message_id,
    put_off,
)
from tests.builders import NOW, mailing, message
from tests.fakes.messages import recount, without_errors
from tests.world import POLICY, middle

LEASED = message(lease_until=NOW + timedelta(seconds=30), leases=1, version="mine")
DEFERRED = replace(
    LEASED, status=Status.DEFERRED, reason=Reason.RETRY, not_before=NOW, due_at=NOW + timedelta(minutes=2), attempts=1
)
EXPIRY = NOW + timedelta(days=60)
SENT_AT = NOW + timedelta(seconds=3)
ENDS = sorted(set(Status) - OPEN)


# --- Ids


@given(st.text(), st.text(), st.integers(0, 100))
def test_an_id_is_positive_and_exact_in_javascript(mailing_id: str, client_id: str, k: int) -> None:
    id_ = message_id(mailing_id, client_id, k)
    assert 0 < id_ < 2**53
    assert id_ == int(float(id_))


def test_an_id_never_changes_for_a_pair() -> None:
    # Rows stored by an earlier release are found by their id: another number here would send them all again.
    assert message_id("mailing", "client") == 512_279_987_811_075


def test_ids_differ_by_mailing_client_and_choice() -> None:
    ids = {message_id(m, c, k) for m in ("a", "b") for c in ("a", "b") for k in range(5)}
    assert len(ids) == 20


def test_ids_use_all_of_their_53_bits() -> None:
    seen = 0
    for number in range(200):
        seen |= message_id("mailing", str(number))
    assert seen == 2**53 - 1


# --- The ways in which a message may change


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("before", [LEASED, DEFERRED])
def test_an_ended_message_has_no_next_step(before: Message, status: Status) -> None:
    after = ended(before, status, expires_at=EXPIRY)
    assert after.status is status
    assert not after.is_open
    assert (after.due_at, after.not_before, after.lease_until, after.leases) == (None, None, None, 0)
    assert (after.expires_at, after.reason, after.attempts) == (EXPIRY, None, before.attempts)


def test_a_message_that_is_put_off_is_open_and_free() -> None:
    after = put_off(LEASED, NOW + timedelta(seconds=8), Reason.RETRY, now=NOW)
    assert after.is_open
    assert (after.status, after.reason) == (Status.DEFERRED, Reason.RETRY)
    assert after.not_before == NOW + timedelta(seconds=8)
    assert (after.lease_until, after.leases) == (UNLEASED, 0)


@pytest.mark.parametrize(
    ("wait", "due_after"),
    [
        (timedelta(0), timedelta(minutes=2)),
        (timedelta(seconds=8), timedelta(minutes=2, seconds=8)),
        (timedelta(minutes=15), timedelta(minutes=17)),  # a delayed ticket is first, and due_at the net behind it
        (timedelta(minutes=15, milliseconds=1), timedelta(minutes=15, milliseconds=1)),  # no queue holds it
        (timedelta(days=3), timedelta(days=3)),
    ],
)
def test_a_message_is_due_behind_its_ticket_or_else_in_time(wait: timedelta, due_after: timedelta) -> None:
    after = put_off(LEASED, NOW + wait, Reason.WINDOW, now=NOW)
    assert after.due_at == NOW + due_after


@pytest.mark.parametrize("status", Status)
def test_open_are_queued_and_deferred(status: Status) -> None:
    assert message(status=status).is_open == (status in {Status.QUEUED, Status.DEFERRED})


# --- Carrying an outcome over to a row that has changed


def sent(before: Message, *, attempts: int = 1) -> Outcome:
    after = replace(
        ended(replace(before, attempts=before.attempts + attempts), Status.SENT, expires_at=EXPIRY), sent_at=SENT_AT
    )
    return Outcome(before, after)


def test_sent_counts_for_a_row_that_another_holds() -> None:
    current = replace(DEFERRED, version="another's", leases=2, attempts=3, uncertain=1, last_error="timeout")
    rebased = sent(LEASED).rebased(current)
    assert rebased is not None
    assert rebased.before is current
    after = rebased.after
    assert (after.status, after.sent_at, after.expires_at) == (Status.SENT, SENT_AT, EXPIRY)
    assert (after.reason, after.due_at, after.not_before, after.lease_until, after.leases) == (
        None,
        None,
        None,
        None,
        0,
    )
    assert (after.attempts, after.uncertain, after.last_error) == (4, 1, "timeout")
    assert counter_changes(rebased) == {"deferred": -1, "deferred.retry": -1, "sent": 1, "attempts": 1}


@pytest.mark.parametrize("status", ENDS)
def test_sent_does_not_count_twice_nor_for_what_has_ended(status: Status) -> None:
    assert sent(LEASED).rebased(ended(LEASED, status, expires_at=EXPIRY)) is None


def test_sent_does_not_count_for_a_row_that_is_gone() -> None:
    assert sent(LEASED).rebased(None) is None


@pytest.mark.parametrize(
    "after",
    [
        put_off(LEASED, SENT_AT, Reason.RETRY, now=NOW),
        *(ended(LEASED, status, expires_at=EXPIRY) for status in ENDS if status is not Status.SENT),
    ],
    ids=lambda after: str(after.status),
)
def test_nothing_but_sent_counts_without_the_lease(after: Message) -> None:
    assert Outcome(LEASED, after).rebased(replace(LEASED, version="another's")) is None


# --- Counters


def test_an_outcome_without_a_change_of_status_changes_no_counter_of_it() -> None:
    again = Outcome(DEFERRED, replace(put_off(DEFERRED, SENT_AT, Reason.RETRY, now=NOW), attempts=2), "http_503")
    assert counter_changes(again) == {"attempts": 1, "error.http_503": 1}


def test_an_outcome_without_any_change_changes_nothing() -> None:
    assert counter_changes(Outcome(DEFERRED, DEFERRED)) == Counter()


def test_each_status_and_reason_is_counted_by_name() -> None:
    failed = ended(replace(DEFERRED, attempts=2, uncertain=1), Status.FAILED, Reason.UNCERTAIN, expires_at=EXPIRY)
    assert counter_changes(Outcome(DEFERRED, failed, "timeout")) == {
        "deferred": -1,
        "deferred.retry": -1,
        "failed": 1,
        "failed.uncertain": 1,
        "attempts": 1,
        "uncertain": 1,
        "error.timeout": 1,
    }


CHANGES = st.one_of(
    st.builds(Answer, st.sampled_from(AnswerKind), st.sampled_from([None, "timeout", "http_500"])),
    st.builds(PutOff, st.just(NOW + timedelta(hours=1)), st.sampled_from([Reason.WINDOW, Reason.PAUSED])),
    st.sampled_from([End(Status.EXPIRED), End(Status.CANCELLED), End(Status.FAILED, Reason.TIMEZONE)]),
)


@given(st.lists(st.tuples(st.integers(0, 3), CHANGES, st.booleans())), st.sampled_from(OnUncertain))
def test_counters_equal_a_recount_after_any_outcomes(
    steps: list[tuple[int, Answer | PutOff | End, bool]], on_uncertain: OnUncertain
) -> None:
    """Rows change by outcomes of whoever holds them, and by `sent` of those who do not any more."""
    of = mailing(status=MailingStatus.RUNNING, on_uncertain=on_uncertain)
    policy = replace(POLICY, max_attempts=3)
    first = [message(id=number + 1, client_id=f"c{number}") for number in range(4)]
    rows, stale = list(first), list(first)
    counters = recount(rows)
    for number, change, by_stale in steps:
        before = stale[number] if by_stale else rows[number]
        if not before.is_open:
            continue
        if isinstance(change, Answer):
            outcome: Outcome | None = settle(before, change, of, NOW, policy, middle)
        else:
            outcome = carry_out(before, change, of, NOW)
        assert outcome is not None
        if by_stale:
            outcome = outcome.rebased(rows[number])
        if outcome is not None:
            stale[number] = rows[number]
            rows[number] = outcome.after
            counters.update(counter_changes(outcome))
    assert without_errors(counters) == recount(rows)
