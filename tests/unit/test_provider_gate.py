import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.breaker import Breaker, Cause, Hold, opened
from chalicelib.domain.message import Reason
from chalicelib.services.provider_gate import ProviderGate, Turn
from tests.builders import NOW
from tests.fakes.provider import ACCEPTED, BUSY
from tests.log_lines import log_lines
from tests.world import BREAKER_POLICY, World

SECOND = timedelta(seconds=1)
LONG = NOW + 60 * SECOND


def entered(gate: ProviderGate) -> Turn:
    turn = gate.enter(LONG)
    assert isinstance(turn, Turn)
    return turn


def down(made: World) -> World:
    made.control_items.stored = opened(made.control_items.stored, Cause.OUTAGE, NOW, BREAKER_POLICY)
    return made


def test_requests_pass_and_their_answers_are_learnt_from() -> None:
    made = World()
    gate = made.gate()
    assert gate.hold() is None
    for _ in range(BREAKER_POLICY.failures):
        turn = entered(gate)
        assert not turn.is_probe
        gate.leave(turn, BUSY)
    assert not made.control_items.stored.is_closed


def test_those_who_are_held_come_back_spread_over_some_seconds() -> None:
    gate = down(World()).gate()
    spread = replace(gate, uniform=lambda low, high: low + high)
    assert gate.hold() == Hold(NOW + 4.5 * SECOND, Reason.OUTAGE)
    assert spread.hold() == spread.enter(LONG) == Hold(NOW + 7 * SECOND, Reason.OUTAGE)


def test_a_short_pause_that_the_provider_asked_for_is_spread_over_as_short_a_time() -> None:
    made = World()
    made.control_items.stored = Breaker(slowed_until=NOW + SECOND, version=1)
    assert made.gate().hold() == Hold(NOW + 1.5 * SECOND, Reason.RATE)
    late = replace(made.gate(), uniform=lambda _low, high: high)
    assert late._spread(Hold(NOW - SECOND, Reason.RATE)) == Hold(NOW - SECOND, Reason.RATE)


def test_of_an_open_breaker_one_probes() -> None:
    made = down(World(at_once=2))
    made.clock.advance(2 * SECOND)
    gate = made.gate()
    with gate.run(LONG):
        assert gate.hold() is None
        probe = entered(gate)
        assert probe.is_probe
        gate.leave(probe, ACCEPTED)
        assert not entered(gate).is_probe


def test_a_turn_that_is_held_gives_its_permit_back() -> None:
    made = down(World(at_once=2))
    gate = made.gate()
    with gate.run(LONG):
        assert [type(gate.enter(NOW)) for _ in range(3)] == [Hold, Hold, Hold]


def test_without_a_permit_or_a_slot_in_time_there_is_no_turn() -> None:
    made = World(at_once=2, per_second=1)
    gate = made.gate()
    with gate.run(LONG) as may_request:
        assert may_request
        turn = gate.enter(NOW)
        assert isinstance(turn, Turn)
        assert gate.enter(NOW) is None
        gate.leave(turn, ACCEPTED)
        assert gate.enter(NOW) is None
        assert isinstance(gate.enter(NOW + SECOND), Turn)


def test_a_run_gives_its_share_back_whatever_happens() -> None:
    made = World(at_once=2)
    taken = []
    with suppress(RuntimeError), made.gate().run(LONG):
        taken = list(made.control_items.taken)
        raise RuntimeError("a fault of ours")
    assert len(taken) == 1
    assert made.control_items.taken == {}


def test_without_a_limit_nothing_is_asked() -> None:
    made = World()
    with made.gate().run(LONG) as may_request:
        assert may_request
    assert made.control_items.reads == 0


@pytest.mark.parametrize(("per_second", "rows"), [(None, 96), (0.1, 1), (10, 20), (100, 96)])
def test_no_more_rows_are_taken_than_the_pace_allows(per_second: float | None, rows: int) -> None:
    assert World(per_second=per_second).gate().rows_at_once(96) == rows


def test_one_row_is_enough_to_probe_with() -> None:
    assert down(World()).gate().rows_at_once(96) == 1


def test_what_cannot_be_learnt_loses_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World()
    gate = made.gate()
    turn = entered(gate)

    def forbidden(_after: object) -> None:
        raise RuntimeError("access denied")

    monkeypatch.setattr(made.control_items, "change_breaker", forbidden)
    with log_lines(logging.ERROR) as lines:
        gate.leave(turn, Answer(AnswerKind.UNAUTHORIZED, "http_401", 401))
    assert [line.message for line in lines] == ["nothing learnt from an answer"]


def test_a_provider_that_is_down_is_asked_no_more_than_it_takes_to_find_out() -> None:
    made = World(at_once=None)
    gate = made.gate()
    asked = threading.Semaphore(0)
    answered = threading.Event()

    def ask() -> type[object]:
        turn = gate.enter(LONG)
        if isinstance(turn, Turn):
            asked.release()
            answered.wait(10)
            gate.leave(turn, BUSY)
        return type(turn)

    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(ask) for _ in range(20)]
        for _ in range(BREAKER_POLICY.failures):
            assert asked.acquire(timeout=10)
        answered.set()
        came = Counter(one.result() for one in asking)

    assert came == {Turn: BREAKER_POLICY.failures, Hold: 20 - BREAKER_POLICY.failures}
