import logging
import threading
from datetime import datetime, timedelta

import pytest

from chalicelib.errors import TransientError
from chalicelib.services.provider_limits import HORIZON, InFlight, Pace
from tests.builders import NOW
from tests.fakes.clock import FakeClock
from tests.fakes.control import FakeControlRepository
from tests.log_lines import log_lines

SECOND = timedelta(seconds=1)
MS = timedelta(milliseconds=1)
LONG = NOW + 60 * SECOND


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def control() -> FakeControlRepository:
    return FakeControlRepository()


def pace(control: FakeControlRepository, clock: FakeClock, per_second: float) -> Pace:
    return Pace(control, clock, lambda seconds: clock.advance(timedelta(seconds=seconds)), per_second)


# --- Requests a second


def test_requests_of_one_sender_are_evenly_spaced(control: FakeControlRepository, clock: FakeClock) -> None:
    one = pace(control, clock, 10)
    moments = []
    for _ in range(21):
        assert one.wait(LONG)
        moments.append(clock() - NOW)
    assert moments == [100 * MS * n for n in range(21)]


def test_slots_are_reserved_many_at_a_time(control: FakeControlRepository, clock: FakeClock) -> None:
    one = pace(control, clock, 200)
    for _ in range(1000):
        assert one.wait(LONG)
    assert control.reservations == 20
    assert clock() - NOW == 999 * 5 * MS


def test_two_senders_together_keep_the_rate(control: FakeControlRepository, clock: FakeClock) -> None:
    senders = [pace(control, clock, 40), pace(control, clock, 40)]
    moments: list[datetime] = []
    for number in range(200):
        assert senders[number % 2].wait(LONG)
        moments.append(clock())
    assert 4.5 <= (clock() - NOW).total_seconds() <= 5.5
    for begin in range(4):
        within = sum(begin * SECOND <= moment - NOW < (begin + 1) * SECOND for moment in moments)
        assert within <= 44


def test_a_pause_makes_no_burst(control: FakeControlRepository, clock: FakeClock) -> None:
    one = pace(control, clock, 40)
    assert one.wait(LONG)
    clock.advance(10 * SECOND)
    moments = []
    for _ in range(12):
        assert one.wait(LONG)
        moments.append(clock() - NOW)
    assert moments == [10 * SECOND + 25 * MS * n for n in range(12)]


def test_a_slot_that_is_too_late_is_left_for_another(control: FakeControlRepository, clock: FakeClock) -> None:
    one = pace(control, clock, 4)
    assert one.wait(LONG)
    assert not one.wait(NOW + 249 * MS)
    assert clock() == NOW
    assert one.wait(NOW + 250 * MS)
    assert clock() == NOW + 250 * MS


def test_what_others_have_reserved_is_waited_for(control: FakeControlRepository, clock: FakeClock) -> None:
    others = [pace(control, clock, 1) for _ in range(2)]
    for other in others:
        clock.now = NOW
        assert other.wait(LONG)
    clock.now = NOW
    last = pace(control, clock, 1)
    assert not last.wait(NOW + 3 * SECOND)
    assert last.wait(NOW + 30 * SECOND)
    assert clock() == NOW + 8 * SECOND
    assert control.reservations < 10


def test_without_reservations_no_request_is_made(control: FakeControlRepository, clock: FakeClock) -> None:
    control.error = TransientError("throttled")
    one = pace(control, clock, 10)
    with log_lines(logging.WARNING) as lines:
        assert not one.wait(NOW + SECOND)
        assert not one.wait(NOW + HORIZON + SECOND)
    assert {line.message for line in lines} == {"no slots reserved"}
    assert clock() == NOW + HORIZON
    control.error = None
    assert one.wait(LONG)


# --- Requests at once


def test_a_run_has_as_many_as_its_share(control: FakeControlRepository, clock: FakeClock) -> None:
    first, second = (InFlight(control, clock, 6, 64) for _ in range(2))
    assert first.open("first", LONG)
    assert second.open("second", LONG)
    assert [first.wait(clock()) for _ in range(4)] == [True, True, True, False]
    assert [second.wait(clock()) for _ in range(3)] == [True, True, False]
    first.leave()
    assert first.wait(clock())


def test_a_run_takes_no_more_than_it_has_threads(control: FakeControlRepository, clock: FakeClock) -> None:
    assert InFlight(control, clock, 1000, 64).open("first", LONG)
    assert control.taken == {"first": (64, LONG)}


def test_with_everything_taken_there_is_no_run(control: FakeControlRepository, clock: FakeClock) -> None:
    one = InFlight(control, clock, 1, 64)
    assert one.open("first", LONG)
    assert not InFlight(control, clock, 1, 64).open("second", LONG)
    one.close("first")
    assert InFlight(control, clock, 1, 64).open("third", LONG)


def test_what_a_dead_sender_had_is_free_after_its_time(control: FakeControlRepository, clock: FakeClock) -> None:
    assert InFlight(control, clock, 1, 64).open("dead", NOW + SECOND)
    clock.advance(SECOND)
    assert InFlight(control, clock, 1, 64).open("second", LONG)


def test_a_request_waits_for_the_one_before(control: FakeControlRepository, clock: FakeClock) -> None:
    one = InFlight(control, clock, 1, 64)
    assert one.open("first", LONG)
    assert one.wait(LONG)
    waiting = threading.Thread(target=one.wait, args=(LONG,))
    waiting.start()
    one.leave()
    waiting.join(10)
    assert not waiting.is_alive()


def test_without_the_table_there_is_no_run_and_nothing_breaks(control: FakeControlRepository, clock: FakeClock) -> None:
    one = InFlight(control, clock, 1, 64)
    control.error = TransientError("throttled")
    with log_lines(logging.WARNING) as lines:
        assert not one.open("first", LONG)
        one.close("first")
    assert [line.message for line in lines] == [
        "no share of the requests in flight taken",
        "share of the requests in flight not given back; it ends by itself",
    ]
