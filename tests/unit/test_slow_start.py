from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer
from chalicelib.services.slow_start import PATIENCE, QUIET, SlowStart
from tests.builders import NOW
from tests.fakes.clock import FakeClock
from tests.fakes.provider import ACCEPTED, BUSY, REFUSED, TIMEOUT

FEW = 3
LONG = NOW + timedelta(minutes=1)
WAITING = 5
SHORT = PATIENCE.total_seconds() / 5


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def start(clock: FakeClock) -> SlowStart:
    made = SlowStart(clock, FEW)
    assert [made.enter(LONG) for _ in range(FEW)] == [True] * FEW
    return made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(WAITING) as threads:
        yield threads


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED], ids=lambda answer: answer.kind.value)
def test_all_go_as_soon_as_one_was_answered_well(start: SlowStart, pool: ThreadPoolExecutor, answer: Answer) -> None:
    waiting = [pool.submit(start.enter, LONG) for _ in range(WAITING)]
    assert not wait(waiting, SHORT, FIRST_COMPLETED).done

    start.leave(answer, was_one=True)

    assert [one.result(SHORT) for one in waiting] == [False] * WAITING
    assert start.enter(LONG) is False


def test_for_one_that_was_not_made_another_goes(start: SlowStart, pool: ThreadPoolExecutor) -> None:
    waiting = [pool.submit(start.enter, LONG) for _ in range(WAITING)]

    start.leave(None, was_one=True)

    done, others = wait(waiting, SHORT)
    assert [one.result() for one in done] == [True]
    assert len(others) == WAITING - 1


@pytest.mark.parametrize("answer", [BUSY, TIMEOUT], ids=lambda answer: answer.kind.value)
def test_others_follow_when_all_of_the_few_have_failed(
    start: SlowStart, pool: ThreadPoolExecutor, answer: Answer
) -> None:
    waiting = [pool.submit(start.enter, LONG) for _ in range(WAITING)]
    for _ in range(FEW - 1):
        start.leave(answer, was_one=True)
    assert not wait(waiting, SHORT, FIRST_COMPLETED).done

    start.leave(answer, was_one=True)

    done, others = wait(waiting, SHORT)
    assert [one.result() for one in done] == [True] * FEW
    assert len(others) == WAITING - FEW


def test_a_slow_provider_is_not_waited_for(start: SlowStart) -> None:
    assert start.enter(LONG) is False


def test_nobody_waits_beyond_his_time(start: SlowStart, pool: ThreadPoolExecutor) -> None:
    assert pool.submit(start.enter, NOW).result(SHORT) is False
    assert pool.submit(start.enter, NOW - timedelta(seconds=1)).result(SHORT) is False


def test_after_a_quiet_while_few_go_first_again(start: SlowStart, clock: FakeClock) -> None:
    for _ in range(FEW):
        start.leave(ACCEPTED, was_one=True)
    clock.advance(QUIET - timedelta(seconds=1))
    assert start.enter(LONG) is False

    start.leave(ACCEPTED, was_one=False)  # heard again: it is not quiet
    clock.advance(QUIET - timedelta(seconds=1))
    assert start.enter(LONG) is False

    start.leave(BUSY, was_one=False)  # says nothing good
    clock.advance(timedelta(seconds=1))
    assert [start.enter(LONG + QUIET * 3) for _ in range(FEW)] == [True] * FEW
