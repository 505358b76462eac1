"""The breaker as senders share it: who opens it, who probes, and what a sender knows when nobody can be asked."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.breaker import Breaker, BreakerState, Cause, Hold, opened, probing, slowed
from chalicelib.domain.message import Reason
from chalicelib.errors import StaleError, TransientError
from chalicelib.services.shared_breaker import MAX_AGE, READ_AHEAD, SharedBreaker
from tests.builders import NOW
from tests.fakes.clock import FakeClock
from tests.fakes.control import FakeControlRepository
from tests.fakes.provider import ACCEPTED, BUSY
from tests.log_lines import log_lines
from tests.world import BREAKER_POLICY

SECOND = timedelta(seconds=1)
UNAUTHORIZED = Answer(AnswerKind.UNAUTHORIZED, "http_401", 401)
TOO_MANY = Answer(AnswerKind.BUSY, "http_429", 429, 30 * SECOND)
FAILURES = BREAKER_POLICY.failures


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def control() -> FakeControlRepository:
    return FakeControlRepository()


@pytest.fixture
def breaker(control: FakeControlRepository, clock: FakeClock) -> SharedBreaker:
    return SharedBreaker(control, clock, BREAKER_POLICY)


def begun(breaker: SharedBreaker) -> Breaker:
    granted = breaker.begin()
    assert isinstance(granted, Breaker)
    return granted


def answered(breaker: SharedBreaker, clock: FakeClock, answer: Answer, times: int = 1) -> None:
    """Make requests that are granted while it is closed, all begun now."""
    under, at = breaker.current(), clock()
    for _ in range(times):
        breaker.learn(under, at, answer)


def open_it(control: FakeControlRepository, cause: Cause = Cause.OUTAGE) -> None:
    control.stored = opened(control.stored, cause, NOW, BREAKER_POLICY)


# --- Reading


def test_it_is_read_once_in_some_time(breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock) -> None:
    for _ in range(5):
        breaker.current()
    assert control.reads == 1
    clock.advance(READ_AHEAD - timedelta(milliseconds=1))
    breaker.current()
    assert control.reads == 1
    clock.advance(MAX_AGE)
    open_it(control)
    assert breaker.current() == control.stored
    assert control.reads == 2


def test_who_waited_while_another_thread_read_it_does_not_read_it_again(
    breaker: SharedBreaker, control: FakeControlRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = breaker._lock

    @contextmanager
    def taken() -> Iterator[None]:
        monkeypatch.setattr(breaker, "_lock", own)
        breaker._read()
        with own:
            yield

    monkeypatch.setattr(breaker, "_lock", taken())
    assert breaker.current() == control.stored
    assert control.reads == 1


def test_before_it_is_too_old_one_thread_reads_it_again_and_the_others_go_on(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    breaker.current()
    open_it(control)
    clock.advance(READ_AHEAD)
    meanwhile: list[Breaker] = []
    with ThreadPoolExecutor(1) as other:
        control.on_read = lambda: meanwhile.append(other.submit(breaker.current).result(5))
        assert breaker.current() == control.stored
    assert meanwhile == [Breaker()]
    assert control.reads == 2


def test_what_a_sender_comes_to_know_while_it_reads_is_newer_than_what_it_reads(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    breaker.current()
    clock.advance(READ_AHEAD)
    with ThreadPoolExecutor(1) as other:
        control.on_read = lambda: other.submit(answered, breaker, clock, BUSY, FAILURES).result(5)
        assert breaker.current().state is BreakerState.OPEN
    assert control.stored.state is BreakerState.OPEN


def test_what_was_known_last_counts_while_it_cannot_be_read(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    control.error = TransientError("throttled")
    with log_lines(logging.WARNING) as lines:
        assert breaker.known() is None
        assert breaker.begin() == Breaker()
    assert [line.message for line in lines] == ["breaker not read: what was known last counts"]
    control.error = None
    control.stored = opened(control.stored, Cause.OUTAGE, NOW + MAX_AGE, BREAKER_POLICY)
    clock.advance(MAX_AGE)
    assert breaker.known() == control.stored
    control.error = TransientError("throttled")
    clock.advance(MAX_AGE)
    assert breaker.known() is None
    assert breaker.hold() == Hold(NOW + 3 * SECOND, Reason.OUTAGE)


def test_it_is_not_known_when_it_cannot_be_read_at_all(breaker: SharedBreaker, control: FakeControlRepository) -> None:
    control.error = PermissionError("no policy allows dynamodb:GetItem")
    with log_lines(logging.ERROR) as lines:
        assert breaker.known() is None
    assert [line.message for line in lines] == ["breaker not read"]


# --- Opening


def test_failures_in_a_row_open_it_for_everybody(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    other = SharedBreaker(control, clock, BREAKER_POLICY)
    assert other.hold() is None
    answered(breaker, clock, BUSY, FAILURES - 1)
    assert control.stored == Breaker()
    with log_lines(logging.ERROR) as lines:
        answered(breaker, clock, BUSY)
    assert (control.stored.state, control.stored.cause, control.stored.since) == (
        BreakerState.OPEN,
        Cause.OUTAGE,
        NOW,
    )
    (line,) = lines
    assert line.message == "breaker opened"
    assert (vars(line)["cause"], vars(line)["error"]) == ("outage", "http_503")
    assert breaker.begin() == Hold(NOW + 2 * SECOND, Reason.OUTAGE)
    assert other.hold() is None
    clock.advance(SECOND)
    assert other.hold() == Hold(NOW + 2 * SECOND, Reason.OUTAGE)


def test_a_success_in_between_begins_the_count_anew(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, BUSY, FAILURES - 1)
    answered(breaker, clock, ACCEPTED)
    answered(breaker, clock, BUSY, FAILURES - 1)
    assert control.stored.is_closed


def test_a_refused_token_opens_it_at_once(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, UNAUTHORIZED)
    assert (control.stored.state, control.stored.cause) == (BreakerState.OPEN, Cause.TOKEN)


def test_a_sender_whose_requests_fail_looks_at_once_whether_others_have_opened_it(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, ACCEPTED)
    open_it(control)
    clock.advance(SECOND / 10)
    under = breaker.current()
    assert under.is_closed
    breaker.learn(under, clock(), ACCEPTED)
    assert breaker.hold() is None
    breaker.learn(under, clock(), BUSY)
    assert breaker.hold() is not None


def test_answers_to_requests_from_before_it_closed_say_nothing(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, BUSY, FAILURES)
    clock.advance(2 * SECOND)
    breaker.learn(begun(breaker), clock(), ACCEPTED)
    assert control.stored.is_closed
    for _ in range(FAILURES):
        breaker.learn(Breaker(), NOW, BUSY)
    assert control.stored.is_closed
    answered(breaker, clock, BUSY, FAILURES)
    assert not control.stored.is_closed


def test_answers_that_come_while_it_is_open_change_nothing(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, BUSY, FAILURES)
    before = control.stored
    breaker.learn(Breaker(), NOW, ACCEPTED)
    breaker.learn(Breaker(), NOW, UNAUTHORIZED)
    breaker.learn(Breaker(), NOW, None)
    assert control.stored == before


def test_what_cannot_be_written_counts_for_this_sender_until_it_reads_again(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    breaker.current()
    control.error = TransientError("throttled")
    with log_lines(logging.WARNING) as lines:
        answered(breaker, clock, BUSY, FAILURES)
    assert lines[0].message == "breaker not changed: this sender alone knows"
    assert breaker.hold() is not None
    control.error = None
    clock.advance(MAX_AGE)
    assert breaker.hold() is None


@pytest.mark.parametrize("was_faster", [False, True])
def test_while_the_others_are_told_this_sender_begins_no_requests(
    breaker: SharedBreaker,
    control: FakeControlRepository,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    was_faster: bool,  # noqa: FBT001 - a column
) -> None:
    held = []
    change = control.change_breaker

    def slow_change(after: Breaker) -> None:
        held.append(breaker.hold())
        if was_faster:
            open_it(control, Cause.TOKEN)
        change(after)

    monkeypatch.setattr(control, "change_breaker", slow_change)
    answered(breaker, clock, BUSY, FAILURES)
    assert held == [Hold(clock() + BREAKER_POLICY.probe_after(0), Reason.OUTAGE)]
    assert breaker.current() == control.stored
    assert control.stored.cause is (Cause.TOKEN if was_faster else Cause.OUTAGE)


def test_what_was_read_ahead_before_the_others_were_told_does_not_close_it_again(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_read = threading.Event()
    read, change = control.breaker, control.change_breaker

    def noted_read() -> Breaker:
        found = read()
        has_read.set()
        return found

    def slow_change(after: Breaker) -> None:
        clock.advance(READ_AHEAD)
        reading.append(threads.submit(breaker.current))
        assert has_read.wait(5)
        change(after)

    reading: list[Future[Breaker]] = []
    breaker.current()
    monkeypatch.setattr(control, "breaker", noted_read)
    monkeypatch.setattr(control, "change_breaker", slow_change)
    with ThreadPoolExecutor(1) as threads:
        answered(breaker, clock, BUSY, FAILURES)
        reading[0].result(5)
    assert breaker.current() == control.stored
    assert not breaker.current().is_closed


def test_of_two_that_open_it_one_does(breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock) -> None:
    other = SharedBreaker(control, clock, BREAKER_POLICY)
    other.current()
    answered(breaker, clock, BUSY, FAILURES)
    version = control.stored.version
    answered(other, clock, BUSY, FAILURES)
    assert control.stored.version == version
    assert other.hold() == breaker.hold()


# --- Probing


def test_one_of_all_senders_probes(control: FakeControlRepository, clock: FakeClock) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    senders = [SharedBreaker(control, clock, BREAKER_POLICY) for _ in range(5)]
    for sender in senders:
        sender.current()
    granted = [sender.begin() for sender in senders]
    assert granted[0] == probing(opened(Breaker(), Cause.OUTAGE, NOW, BREAKER_POLICY), clock(), BREAKER_POLICY)
    assert granted[1:] == [Hold(clock() + 12 * SECOND, Reason.OUTAGE)] * 4
    assert granted[0].state is BreakerState.HALF_OPEN


def test_a_good_probe_closes_it(breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    probe = begun(breaker)
    with log_lines(logging.INFO) as lines:
        breaker.learn(probe, clock(), ACCEPTED)
    assert control.stored == Breaker(changed_at=clock(), version=3)
    assert (lines[-1].message, vars(lines[-1])["state"]) == ("breaker changed", "closed")
    assert vars(lines[-1])["since"] == NOW.isoformat()
    assert begun(breaker).is_closed


def test_a_failed_probe_waits_longer(breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    breaker.learn(begun(breaker), clock(), BUSY)
    assert breaker.begin() == Hold(clock() + 4 * SECOND, Reason.OUTAGE)
    assert control.stored.since == NOW


def test_a_probe_that_was_not_made_is_another_s(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    breaker.learn(begun(breaker), clock(), None)
    other = SharedBreaker(control, clock, BREAKER_POLICY)
    assert begun(other).state is BreakerState.HALF_OPEN


def test_a_probe_of_a_sender_that_died_is_followed_by_another(control: FakeControlRepository, clock: FakeClock) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    dead = SharedBreaker(control, clock, BREAKER_POLICY)
    first = begun(dead)
    clock.advance(12 * SECOND)
    second = begun(SharedBreaker(control, clock, BREAKER_POLICY))
    assert second.version == first.version + 1
    dead.current()
    dead.learn(first, clock(), ACCEPTED)
    assert control.stored == second


def test_a_probe_counts_although_a_pause_was_asked_for_meanwhile(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    probe = begun(breaker)
    slower = slowed(control.stored, TOO_MANY, clock())
    assert slower is not None
    control.stored = slower
    breaker.learn(probe, clock(), ACCEPTED)
    assert control.stored == Breaker(changed_at=clock(), slowed_until=slower.slowed_until, version=slower.version + 1)


def test_a_probe_whose_state_cannot_be_stored_holds_back(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it(control)
    clock.advance(2 * SECOND)

    def lose_each_race(_after: Breaker) -> None:
        raise StaleError("another was faster")

    monkeypatch.setattr(control, "change_breaker", lose_each_race)
    assert breaker.begin() == Hold(clock() + MAX_AGE, Reason.OUTAGE)


def test_a_probe_that_never_finds_the_record_as_it_was_gives_up(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    probe = begun(breaker)
    races = 0

    def lose_each_race(_after: Breaker) -> None:
        nonlocal races
        races += 1
        raise StaleError("another was faster")

    monkeypatch.setattr(control, "change_breaker", lose_each_race)
    breaker.learn(probe, clock(), ACCEPTED)
    assert races == 5
    assert control.stored == probe


def test_closed_by_another_while_one_would_probe_the_request_is_granted(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    open_it(control)
    clock.advance(2 * SECOND)
    breaker.current()
    control.stored = Breaker(changed_at=clock(), version=3)
    assert begun(breaker).is_closed


# --- A pause that the provider asks for


def test_a_429_slows_everybody(breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock) -> None:
    answered(breaker, clock, TOO_MANY)
    assert breaker.begin() == Hold(NOW + 30 * SECOND, Reason.RATE)
    assert SharedBreaker(control, clock, BREAKER_POLICY).hold() == Hold(NOW + 30 * SECOND, Reason.RATE)
    clock.advance(30 * SECOND)
    assert begun(breaker).is_closed


def test_many_429s_that_say_the_same_are_one_write(
    breaker: SharedBreaker, control: FakeControlRepository, clock: FakeClock
) -> None:
    answered(breaker, clock, TOO_MANY, times=50)
    assert control.stored.version == 1
