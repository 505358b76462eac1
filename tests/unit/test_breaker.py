"""The breaker's table: every state, every event, and what follows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.breaker import (
    MAX_SLOWED,
    RECENT_ANSWERS,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Cause,
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
from tests.builders import NOW
from tests.fakes.provider import ACCEPTED, BUSY, REFUSED, TIMEOUT

SECOND = timedelta(seconds=1)
MS = timedelta(milliseconds=1)
POLICY = BreakerPolicy(3, first_probe=2 * SECOND, probe_cap=15 * SECOND, request_timeout=10 * SECOND)
UNAUTHORIZED = Answer(AnswerKind.UNAUTHORIZED, "http_401", 401)
TOO_MANY = Answer(AnswerKind.BUSY, "http_429", 429, timedelta(seconds=30))
CLOSED = Breaker(version=4)
OPEN = opened(CLOSED, Cause.OUTAGE, NOW, POLICY)
HALF_OPEN = probing(OPEN, NOW + 2 * SECOND, POLICY)


@pytest.mark.parametrize(
    ("answer", "bad"),
    [
        (ACCEPTED, False),
        (REFUSED, False),
        (TOO_MANY, False),
        (BUSY, True),
        (Answer(AnswerKind.BUSY, "http_408", 408), True),
        (TIMEOUT, True),
        (UNAUTHORIZED, True),
        (Answer(AnswerKind.BROKEN, "no_json", 200), True),
        (Answer(AnswerKind.UNREACHABLE, "connect"), True),
    ],
)
def test_a_provider_that_refuses_or_slows_us_is_up(answer: Answer, bad: bool) -> None:  # noqa: FBT001
    assert is_bad(answer) is bad


def test_a_refused_token_is_a_cause_of_its_own() -> None:
    assert [cause_of(answer) for answer in (UNAUTHORIZED, BUSY, TIMEOUT)] == [Cause.TOKEN, Cause.OUTAGE, Cause.OUTAGE]


# --- When it opens


@pytest.mark.parametrize(
    ("answers", "down"),
    [
        ("", False),
        ("xx", False),
        ("xxx", True),
        ("xx.x", False),
        ("xx.xxx", True),
        ("xxx.", False),
        ("xx." * 16, False),
    ],
)
def test_failures_in_a_row_open_it(answers: str, down: bool) -> None:  # noqa: FBT001
    recent = RecentAnswers()
    for answer in answers:
        recent.add(bad=answer == "x")
    assert recent.tell_of_outage(POLICY) is down


@pytest.mark.parametrize(("good", "down"), [(9, True), (10, True), (11, False)])
def test_a_share_of_failures_among_a_full_memory_opens_it(good: int, down: bool) -> None:  # noqa: FBT001
    patient = replace(POLICY, failures=1000)
    recent = RecentAnswers()
    for number in range(RECENT_ANSWERS):
        assert not recent.tell_of_outage(patient)
        recent.add(bad=number >= good)
    assert recent.tell_of_outage(patient) is down


def test_only_the_latest_answers_are_remembered() -> None:
    patient = replace(POLICY, failures=1000)
    recent = RecentAnswers()
    for bad in [*[False] * 100, *[True] * 40]:
        recent.add(bad=bad)
    assert recent.tell_of_outage(patient)


def test_what_is_forgotten_counts_no_more() -> None:
    recent = RecentAnswers()
    for _ in range(RECENT_ANSWERS):
        recent.add(bad=True)
    recent.forget()
    assert not recent.tell_of_outage(POLICY)
    for _ in range(2):
        recent.add(bad=True)
    assert not recent.tell_of_outage(POLICY)


# --- From state to state


def test_closed_lets_requests_flow() -> None:
    assert CLOSED.is_closed
    assert hold(CLOSED, NOW) is None
    assert not CLOSED.may_probe(NOW)


def test_opened_it_holds_all_back_until_the_first_probe() -> None:
    assert (
        Breaker(
            BreakerState.OPEN,
            Cause.OUTAGE,
            since=NOW,
            changed_at=NOW,
            probe_at=NOW + 2 * SECOND,
            probes=0,
            version=5,
        )
        == OPEN
    )
    assert not OPEN.is_closed
    assert hold(OPEN, NOW) == hold(OPEN, NOW + 2 * SECOND - MS) == Hold(NOW + 2 * SECOND, Reason.OUTAGE)
    assert hold(OPEN, NOW + 2 * SECOND) is None
    assert (OPEN.may_probe(NOW + 2 * SECOND - MS), OPEN.may_probe(NOW + 2 * SECOND)) == (False, True)


def test_half_open_it_waits_for_the_probe_and_a_margin_then_another_may_be_made() -> None:
    at = NOW + 2 * SECOND
    assert replace(OPEN, state=BreakerState.HALF_OPEN, changed_at=at, probe_at=at + 12 * SECOND, version=6) == HALF_OPEN
    assert hold(HALF_OPEN, at) == Hold(at + 12 * SECOND, Reason.OUTAGE)
    assert hold(HALF_OPEN, at + 12 * SECOND) is None


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED, TOO_MANY])
def test_a_probe_that_is_answered_closes_it(answer: Answer) -> None:
    at = NOW + 3 * SECOND
    assert probed(HALF_OPEN, answer, at, POLICY) == Breaker(changed_at=at, version=7)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_cap() -> None:
    waits = []
    breaker = HALF_OPEN
    for _ in range(6):
        breaker = probed(breaker, BUSY, NOW, POLICY)
        assert (breaker.state, breaker.cause, breaker.since) == (BreakerState.OPEN, Cause.OUTAGE, NOW)
        assert breaker.probe_at is not None
        waits.append((breaker.probe_at - NOW).total_seconds())
        breaker = probing(breaker, NOW, POLICY)
    assert waits == [4, 8, 15, 15, 15, 15]
    assert breaker.probes == 6
    assert breaker.version == 6 + 12


def test_a_provider_that_is_down_for_weeks_is_still_probed() -> None:
    after = probed(replace(HALF_OPEN, probes=10_000), BUSY, NOW, POLICY)
    assert after.probe_at == NOW + 15 * SECOND


def test_a_probe_that_was_not_made_lets_another_be_made_at_once() -> None:
    at = NOW + 3 * SECOND
    assert probed(HALF_OPEN, None, at, POLICY) == replace(
        HALF_OPEN, state=BreakerState.OPEN, changed_at=at, probe_at=at, version=7
    )


def test_a_probe_tells_the_cause_anew() -> None:
    assert probed(HALF_OPEN, UNAUTHORIZED, NOW, POLICY).cause is Cause.TOKEN


# --- A pause that the provider asks for


def test_a_429_slows_all_for_as_long_as_it_says() -> None:
    after = slowed(CLOSED, TOO_MANY, NOW)
    assert after == replace(CLOSED, slowed_until=NOW + 30 * SECOND, version=5)
    assert after is not None
    assert hold(after, NOW + 30 * SECOND - MS) == Hold(NOW + 30 * SECOND, Reason.RATE)
    assert hold(after, NOW + 30 * SECOND) is None


def test_a_429_slows_nobody_for_longer_than_the_limit() -> None:
    after = slowed(CLOSED, replace(TOO_MANY, retry_after=timedelta(days=1)), NOW)
    assert after is not None
    assert after.slowed_until == NOW + MAX_SLOWED


@pytest.mark.parametrize(
    ("breaker", "answer"),
    [
        (CLOSED, replace(TOO_MANY, retry_after=None)),
        (CLOSED, replace(BUSY, retry_after=30 * SECOND)),
        (replace(CLOSED, slowed_until=NOW + 30 * SECOND), TOO_MANY),
        (replace(CLOSED, slowed_until=NOW + 31 * SECOND), TOO_MANY),
    ],
)
def test_what_asks_for_nothing_more_changes_nothing(breaker: Breaker, answer: Answer) -> None:
    assert slowed(breaker, answer, NOW) is None


def test_a_longer_pause_counts() -> None:
    after = slowed(replace(CLOSED, slowed_until=NOW + 29 * SECOND), TOO_MANY, NOW)
    assert after is not None
    assert after.slowed_until == NOW + 30 * SECOND


def test_an_outage_comes_before_a_pause_and_closing_forgets_no_pause() -> None:
    both = replace(HALF_OPEN, slowed_until=NOW + 60 * SECOND)
    assert hold(both, NOW) == Hold(NOW + 14 * SECOND, Reason.OUTAGE)
    assert hold(both, NOW + 14 * SECOND) == Hold(NOW + 60 * SECOND, Reason.RATE)
    assert probed(both, ACCEPTED, NOW, POLICY).slowed_until == NOW + 60 * SECOND
