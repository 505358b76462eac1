"""What the port `ControlRepository` promises, of the adapter and of its fake; and what AWS may do to the first."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from chalicelib.adapters.control_repository import DynamoControlRepository
from chalicelib.adapters.tables import ControlItem, bind
from chalicelib.bootstrap import utc_now
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.limits import MICROSECOND, Slots
from chalicelib.errors import StaleError, TransientError
from chalicelib.ports import ControlRepository
from chalicelib.services.provider_limits import Pace
from tests.aws_errors import answered, error, without_transport_retries
from tests.builders import NOW
from tests.emulator import running_emulator
from tests.fakes.control import FakeControlRepository
from tests.tables import clear_tables, create_tables, items_of

Result = TypeVar("Result")

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TRIES = 10
OPEN = Breaker(
    state=BreakerState.OPEN,
    cause=Cause.TOKEN,
    since=NOW,
    changed_at=NOW + MS,
    probe_at=NOW + 2 * SECOND,
    probes=3,
    slowed_until=NOW + MINUTE,
    version=1,
)
THROTTLED = error("ProvisionedThroughputExceededException")
OVERTAKEN = error("ConditionalCheckFailedException")


@pytest.fixture(scope="module")
def emulated() -> Iterator[None]:
    """Run the emulator: moto is not safe among threads, and carries out what `answered` answers in its place."""
    with running_emulator():
        create_tables("contract")
        yield
        bind("unbound")


@pytest.fixture
def stored(emulated: None) -> Iterator[DynamoControlRepository]:  # noqa: ARG001 - the tables
    """Hand out the adapter alone, for what only AWS can do."""
    yield DynamoControlRepository()
    clear_tables()


@pytest.fixture(params=["dynamodb", "fake"])
def control(request: pytest.FixtureRequest) -> ControlRepository:
    if request.param == "fake":
        return FakeControlRepository()
    stored: DynamoControlRepository = request.getfixturevalue("stored")
    return stored


# --- The breaker


def test_a_breaker_that_nobody_changed_is_closed(control: ControlRepository) -> None:
    assert control.breaker() == Breaker()


def test_the_breaker_is_read_as_it_was_stored(control: ControlRepository) -> None:
    stages = (
        OPEN,
        replace(OPEN, state=BreakerState.HALF_OPEN, cause=Cause.OUTAGE, version=2),
        Breaker(changed_at=NOW + MINUTE, version=3),
    )
    for stage in stages:
        control.change_breaker(stage)
        assert control.breaker() == stage


@pytest.mark.parametrize("version", [1, 2, 4])
def test_only_the_next_version_of_the_breaker_is_stored(control: ControlRepository, version: int) -> None:
    for each in (OPEN, replace(OPEN, version=2)):
        control.change_breaker(each)
    with pytest.raises(StaleError):
        control.change_breaker(Breaker(version=version))
    assert control.breaker() == replace(OPEN, version=2)


def test_a_breaker_that_nobody_changed_has_no_second_version(control: ControlRepository) -> None:
    with pytest.raises(StaleError):
        control.change_breaker(replace(OPEN, version=2))
    assert control.breaker() == Breaker()


# --- Slots


def reserve(control: ControlRepository, count: int, interval: timedelta, **moments: Any) -> list[Any]:  # noqa: ANN401 - `now` and `horizon`
    """Reserve slots, which must be granted; list their moments."""
    now = moments.get("now", NOW)
    first, free_at = control.reserve_slots(count, interval, now=now, horizon=moments.get("horizon", now + 2 * SECOND))
    assert first is not None
    assert free_at == first + count * interval
    return list(Slots(first, interval, count).moments())


def test_reservations_follow_each_other_evenly_spread(control: ControlRepository) -> None:
    moments = [moment for _ in range(4) for moment in reserve(control, 5, 20 * MS)]
    assert moments == [NOW + number * 20 * MS for number in range(20)]


def test_reservations_of_other_sizes_follow_each_other_too(control: ControlRepository) -> None:
    moments = [moment for size in (1, 7, 3) for moment in reserve(control, size, 10 * MS)]
    assert moments == [NOW + number * 10 * MS for number in range(11)]


def test_after_a_pause_slots_begin_at_once(control: ControlRepository) -> None:
    reserve(control, 5, 20 * MS)
    later = NOW + MINUTE
    assert reserve(control, 5, 20 * MS, now=later)[0] == later


def test_the_slot_that_is_free_at_this_very_moment_is_the_first(control: ControlRepository) -> None:
    reserve(control, 5, 20 * MS)
    free_at = NOW + 100 * MS
    assert reserve(control, 1, 20 * MS, now=free_at) == [free_at]
    assert reserve(control, 1, 20 * MS, now=free_at) == [free_at + 20 * MS]


def test_a_sender_whose_clock_is_behind_gets_no_slot_of_another(control: ControlRepository) -> None:
    taken = reserve(control, 5, 20 * MS)
    assert reserve(control, 1, 20 * MS, now=NOW - SECOND)[0] == taken[-1] + 20 * MS


def test_beyond_the_horizon_nothing_is_reserved_and_the_moment_that_is_free_is_told(
    control: ControlRepository,
) -> None:
    horizon = NOW + 500 * MS
    reserve(control, 10, 50 * MS)
    assert reserve(control, 1, 50 * MS, horizon=horizon) == [horizon]
    for _ in range(2):
        assert control.reserve_slots(1, 50 * MS, now=NOW, horizon=horizon) == (None, horizon + 50 * MS)


def test_3000_slots_a_second_are_told_apart(control: ControlRepository) -> None:
    now, interval = NOW + MICROSECOND, SECOND / 3000
    moments = [moment for _ in range(60) for moment in reserve(control, 50, interval, now=now)]
    assert moments == [now + number * interval for number in range(3000)]
    assert timedelta() <= SECOND - (moments[-1] + interval - moments[0]) < 2 * MS


# --- Requests in flight


def take(control: ControlRepository, owner: str, wanted: int = 100, limit: int = 10, **moments: Any) -> int:  # noqa: ANN401 - `now` and `until`
    now = moments.get("now", NOW)
    return control.take_in_flight(owner, wanted, limit, now=now, until=moments.get("until", now + MINUTE))


def test_each_sender_has_half_of_what_is_free_until_nothing_is(control: ControlRepository) -> None:
    assert [take(control, owner) for owner in "abcdef"] == [5, 3, 1, 1, 0, 0]


def test_nobody_has_more_than_wanted(control: ControlRepository) -> None:
    assert [take(control, owner, wanted=2) for owner in "abcdef"] == [2, 2, 2, 2, 1, 1]


def test_a_limit_of_one_is_one_senders(control: ControlRepository) -> None:
    assert [take(control, owner, limit=1) for owner in "ab"] == [1, 0]


def test_what_is_given_back_is_free(control: ControlRepository) -> None:
    for owner in "abcd":
        take(control, owner)
    control.give_back_in_flight("a")
    assert [take(control, owner) for owner in "ef"] == [3, 1]


def test_nothing_comes_of_giving_back_what_one_has_not(control: ControlRepository) -> None:
    control.give_back_in_flight("a")
    take(control, "b")
    for owner in "aa":
        control.give_back_in_flight(owner)
    assert take(control, "c") == 3


def test_the_share_of_a_sender_that_died_is_free_after_its_time(control: ControlRepository) -> None:
    assert take(control, "dead", until=NOW + MINUTE) == 5
    assert take(control, "b", now=NOW + MINUTE - MS) == 3
    assert take(control, "c", now=NOW + MINUTE) == 4


def test_a_sender_that_asks_again_has_one_share(control: ControlRepository) -> None:
    assert [take(control, "a") for _ in range(2)] == [5, 5]
    assert take(control, "b") == 3


def test_a_lower_limit_leaves_nothing_beside_larger_shares(control: ControlRepository) -> None:
    assert take(control, "a", limit=100) == 50
    assert take(control, "b", limit=10) == 0


# --- What AWS does to the adapter


def client() -> Any:  # noqa: ANN401 - boto3's clients are made at run time
    return ControlItem._get_connection().connection.client


def test_the_three_items_do_not_touch_each_other(stored: DynamoControlRepository) -> None:
    stored.change_breaker(OPEN)
    reserve(stored, 5, 20 * MS)
    take(stored, "a")
    assert stored.breaker() == OPEN
    assert reserve(stored, 1, 20 * MS) == [NOW + 100 * MS]
    assert take(stored, "b") == 3
    assert {str(item.name) for item in items_of(ControlItem)} == {"breaker", "pace", "in_flight"}  # type: ignore[attr-defined]


def test_slots_that_follow_on_cost_one_write_and_after_a_pause_two(stored: DynamoControlRepository) -> None:
    for now, writes in ((NOW, 2), (NOW, 1), (NOW + MS, 1), (NOW + MINUTE, 2)):
        with answered(client(), "UpdateItem") as calls, answered(client(), "GetItem") as reads:
            reserve(stored, 50, 20 * MS, now=now)
        assert (len(calls), len(reads)) == (writes, 0)


def test_what_is_in_flight_is_taken_again_after_another_was_quicker(stored: DynamoControlRepository) -> None:
    take(stored, "a")
    with answered(client(), "PutItem", OVERTAKEN, OVERTAKEN) as calls:
        assert take(stored, "b") == 3
    assert len(calls) == 3
    with answered(client(), "PutItem", OVERTAKEN) as calls:
        stored.give_back_in_flight("a")
    assert len(calls) == 2
    assert take(stored, "c") == 4


def test_the_share_is_of_what_another_has_left_in_between(stored: DynamoControlRepository) -> None:
    others = iter(["first"])

    def overtake(**_: object) -> None:
        for other in others:
            take(stored, other)

    event = "before-send.dynamodb.PutItem"
    client().meta.events.register(event, overtake)
    try:
        assert take(stored, "second") == 3
    finally:
        client().meta.events.unregister(event, overtake)
    assert take(stored, "third") == 1


def test_slots_are_reserved_again_after_another_was_quicker(stored: DynamoControlRepository) -> None:
    with answered(client(), "UpdateItem", OVERTAKEN, OVERTAKEN, OVERTAKEN) as calls:
        assert reserve(stored, 1, 20 * MS) == [NOW]
    assert len(calls) == 4


def test_who_is_overtaken_each_time_tries_later(stored: DynamoControlRepository) -> None:
    with answered(client(), "UpdateItem", *[OVERTAKEN] * 100) as calls, pytest.raises(TransientError):
        reserve(stored, 1, 20 * MS)
    assert len(calls) == 2 * TRIES
    with answered(client(), "PutItem", *[OVERTAKEN] * 100) as calls, pytest.raises(TransientError):
        take(stored, "a")
    assert len(calls) == TRIES
    assert items_of(ControlItem) == []


def test_throttling_passes(stored: DynamoControlRepository) -> None:
    take(stored, "a")
    with ExitStack() as faults:
        for operation in ("GetItem", "PutItem", "UpdateItem"):
            faults.enter_context(without_transport_retries(client(), operation))
            faults.enter_context(answered(client(), operation, *[THROTTLED] * 100))
        for call in (
            stored.breaker,
            lambda: stored.change_breaker(OPEN),
            lambda: reserve(stored, 1, MS),
            lambda: take(stored, "b"),
            lambda: stored.give_back_in_flight("a"),
        ):
            with pytest.raises(TransientError):
                call()


def test_a_fault_of_ours_does_not_pass(stored: DynamoControlRepository) -> None:
    denied = error("AccessDeniedException")
    with answered(client(), "GetItem", denied), pytest.raises(ClientError, match="AccessDenied"):
        stored.breaker()
    with answered(client(), "UpdateItem", denied), pytest.raises(ClientError, match="AccessDenied"):
        reserve(stored, 1, MS)
    with answered(client(), "PutItem", denied), pytest.raises(ClientError, match="AccessDenied"):
        take(stored, "a")


# --- Many at once

THREADS = 8


def at_once(call: Callable[[int], Result]) -> list[Result]:
    """Call it in as many threads, which begin together; each is given its number."""
    together = Barrier(THREADS)

    def begin(number: int) -> Result:
        together.wait(10)
        return call(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def test_no_slot_is_handed_out_twice_and_none_is_left_out(stored: DynamoControlRepository) -> None:
    def some(_: int) -> Sequence[Any]:
        return [moment for _ in range(10) for moment in reserve(stored, 5, MS, horizon=NOW + MINUTE)]

    moments = sorted(moment for share in at_once(some) for moment in share)
    assert moments == [NOW + number * MS for number in range(THREADS * 50)]


def test_of_those_who_change_the_breaker_at_once_one_does(stored: DynamoControlRepository) -> None:
    def change(number: int) -> bool:
        try:
            stored.change_breaker(replace(OPEN, probes=number))
        except StaleError:
            return False
        return True

    changed = at_once(change)
    assert sum(changed) == 1
    assert stored.breaker() == replace(OPEN, probes=changed.index(True))


def test_shares_taken_at_once_are_together_within_the_limit(stored: DynamoControlRepository) -> None:
    shares = at_once(lambda number: take(stored, f"sender-{number}", limit=20))
    assert sorted(shares, reverse=True) == [10, 5, 3, 1, 1, 0, 0, 0]
    at_once(lambda number: stored.give_back_in_flight(f"sender-{number}"))
    assert take(stored, "later", limit=20) == 10


def test_keeping_the_pace_costs_far_fewer_writes_than_there_are_requests(stored: DynamoControlRepository) -> None:
    # More threads than slots within the horizon: most are told to ask later.
    requests, per_second = 150, 50
    senders = [Pace(stored, utc_now, time.sleep, per_second) for _ in range(3)]
    began = utc_now()
    until = began + MINUTE
    with answered(client(), "UpdateItem") as writes, ThreadPoolExecutor(requests) as pool:
        turns = list(pool.map(lambda number: senders[number % 3].wait(until), range(requests)))
    assert turns == [True] * requests
    assert utc_now() - began >= (requests - 1) / per_second * SECOND
    assert len(writes) < requests / 3
