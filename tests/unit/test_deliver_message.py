import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.answer import Answer
from chalicelib.domain.breaker import Breaker, Hold
from chalicelib.domain.client import Client
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Message, Outcome, Reason, Status
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.deliver_message import Undone
from tests.builders import NOW, client, mailing, message
from tests.fakes.provider import ACCEPTED, BUSY, Request
from tests.fakes.watched import Hook, Moment, watched
from tests.log_lines import log_lines
from tests.world import BREAKER_POLICY, World

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
CLIENT = client(phone="79161234567")
RUNNING = mailing(status=MailingStatus.RUNNING, text="Ваш заказ прибыл.")
LEASED = message(lease_until=NOW + 30 * SECOND, leases=1, version="mine")
BEGIN_UNTIL = NOW + 17 * SECOND
CLOSED = LocalWindow.parse("10:00", "21:00")  # in Moscow it is 09:00


@pytest.fixture
def world() -> World:
    made = World()
    made.clients.create(CLIENT)
    made.mailings.create(RUNNING)
    return made


def deliver(
    world: World,
    row: Message = LEASED,
    to: Client | None = CLIENT,
    *,
    read_at: datetime = NOW,
    begin_until: datetime = BEGIN_UNTIL,
) -> Outcome | Undone:
    return world.deliver()(row, to, read_at, begin_until)


def after(done: Outcome | Undone) -> Message:
    assert isinstance(done, Outcome)
    return done.after


# --- The request


def test_a_provider_that_is_found_down_right_before_the_request_gets_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_message = world.deliver()
    breaker = deliver_message.gate.breaker
    begin = breaker.begin

    def begin_and_then_another_finds_it_down() -> Breaker | Hold:
        granted = begin()
        for _ in range(BREAKER_POLICY.failures):
            breaker.learn(Breaker(), world.clock(), BUSY)
        return granted

    monkeypatch.setattr(breaker, "begin", begin_and_then_another_finds_it_down)
    row = after(deliver_message(LEASED, CLIENT, NOW, BEGIN_UNTIL))
    assert (row.status, row.reason, row.attempts) == (Status.DEFERRED, Reason.OUTAGE, 0)
    assert world.provider.requests == []


def test_the_text_goes_to_the_phone_and_the_answer_is_settled(world: World) -> None:
    row = after(deliver(world))
    assert (row.status, row.sent_at) == (Status.SENT, NOW)
    assert world.provider.requests == [Request(LEASED.id, CLIENT.phone, RUNNING.text, 10.0)]


def test_the_answer_counts_from_when_it_came(world: World) -> None:
    def slow(_request: Request) -> Answer:
        world.clock.advance(7 * SECOND)
        return BUSY

    world.provider.answer = slow
    assert after(deliver(world)).not_before == NOW + 7 * SECOND + SECOND


def test_a_request_is_given_no_more_time_than_the_mailing_has(world: World) -> None:
    world.mailings.stored[RUNNING.id] = replace(RUNNING, end_at=NOW + 4 * SECOND)
    deliver(world)
    assert [request.timeout_seconds for request in world.provider.requests] == [4.0]


# --- Nothing is begun without time for it


@pytest.mark.parametrize(("left", "begun"), [(12 * SECOND, False), (12 * SECOND + MS, True), (timedelta(0), False)])
def test_a_request_begins_only_if_it_is_over_before_the_lease(world: World, left: timedelta, begun: bool) -> None:  # noqa: FBT001
    done = deliver(world, replace(LEASED, lease_until=NOW + left))
    assert (done is Undone.NOT_BEGUN) != begun
    assert len(world.provider.requests) == begun


@pytest.mark.parametrize(("left", "begun"), [(timedelta(0), False), (-SECOND, False), (MS, True)])
def test_a_request_begins_only_while_there_is_time_to_record_it(world: World, left: timedelta, begun: bool) -> None:  # noqa: FBT001
    done = deliver(world, begin_until=NOW + left)
    assert (done is Undone.NOT_BEGUN) != begun
    assert len(world.provider.requests) == begun


def test_without_a_lease_nothing_begins(world: World) -> None:
    assert deliver(world, replace(LEASED, lease_until=None)) is Undone.NOT_BEGUN
    assert world.provider.requests == []


def taking(world: World, time: timedelta) -> Hook:
    """Make a hook that lets a read take this long."""

    def hook(moment: Moment, _name: str) -> None:
        if moment is Moment.AFTER:
            world.clock.advance(time)

    return hook


@pytest.mark.parametrize("lease_left", [30 * SECOND, 60 * SECOND])
def test_a_slow_read_of_the_mailing_is_no_excuse_to_begin_too_late(world: World, lease_left: timedelta) -> None:
    slow = watched(world.mailings, taking(world, 20 * SECOND), "get")
    service = replace(world.deliver(), mailings=CachedMailings(slow, world.clock))
    row = replace(LEASED, lease_until=NOW + lease_left)
    assert service(row, CLIENT, NOW, BEGIN_UNTIL) is Undone.NOT_BEGUN
    assert world.provider.requests == []


def test_a_slow_read_of_the_client_is_no_excuse_to_begin_too_late(world: World) -> None:
    service = replace(world.deliver(), clients=watched(world.clients, taking(world, 20 * SECOND), "get"))
    assert service(LEASED, CLIENT, NOW - 3 * SECOND, BEGIN_UNTIL) is Undone.NOT_BEGUN
    assert world.provider.requests == []


# --- What is true at this moment


def test_a_client_that_was_read_just_now_is_not_read_again(world: World) -> None:
    world.clients.stored[CLIENT.id] = replace(CLIENT, phone="79990000000")
    deliver(world, read_at=NOW - 2 * SECOND)
    assert world.provider.requests[0].phone == CLIENT.phone


def test_a_client_that_was_read_long_ago_is_read_again(world: World) -> None:
    world.clients.stored[CLIENT.id] = replace(CLIENT, phone="79990000000")
    deliver(world, read_at=NOW - 2 * SECOND - MS)
    assert world.provider.requests[0].phone == "79990000000"


def test_a_client_that_was_deleted_meanwhile_gets_nothing(world: World) -> None:
    world.clients.delete(CLIENT)
    row = after(deliver(world, read_at=NOW - 3 * SECOND))
    assert row.status is Status.CANCELLED
    assert world.provider.requests == []


def test_a_client_that_is_gone_gets_nothing(world: World) -> None:
    assert after(deliver(world, to=None)).status is Status.CANCELLED
    assert world.provider.requests == []


def test_a_mailing_that_is_gone_sends_nothing(world: World) -> None:
    del world.mailings.stored[RUNNING.id]
    assert after(deliver(world)).status is Status.CANCELLED
    assert world.provider.requests == []


def test_out_of_its_window_it_waits(world: World) -> None:
    world.mailings.stored[RUNNING.id] = replace(RUNNING, window=CLOSED)
    row = after(deliver(world))
    assert (row.status, row.reason, row.not_before) == (Status.DEFERRED, Reason.WINDOW, NOW + timedelta(hours=1))
    assert world.provider.requests == []


def test_what_is_not_due_is_left_alone(world: World) -> None:
    waiting = replace(LEASED, status=Status.DEFERRED, not_before=NOW + timedelta(minutes=1))
    assert deliver(world, waiting) is Undone.LEFT_ALONE
    assert world.provider.requests == []


def test_the_moment_that_decides_is_the_one_after_all_reads(world: World) -> None:
    ending = replace(RUNNING, end_at=NOW + 3 * SECOND)
    world.mailings.stored[RUNNING.id] = ending
    slow = watched(world.mailings, taking(world, 2 * SECOND), "get")
    service = replace(world.deliver(), mailings=CachedMailings(slow, world.clock))
    assert after(service(LEASED, CLIENT, NOW, BEGIN_UNTIL)).status is Status.EXPIRED
    assert world.provider.requests == []


# --- Its log line


def test_a_request_leaves_one_line_with_all_ids_and_neither_phone_nor_text(world: World) -> None:
    world.provider.answer = replace(BUSY, duration_ms=42)
    with log_lines() as lines:
        deliver(world)
    (line,) = lines
    assert line.message == "message requested"
    expected = {
        "mailing_id": RUNNING.id,
        "message_id": LEASED.id,
        "client_id": CLIENT.id,
        "phone": "*******4567",
        "text_length": len(RUNNING.text),
        "answer": "busy",
        "http_status": 503,
        "error": "http_503",
        "duration_ms": 42,
        "attempts": 1,
        "status": "deferred",
        "reason": "retry",
        "not_before": (NOW + SECOND).isoformat(),
    }
    assert {name: vars(line)[name] for name in expected} == expected
    assert RUNNING.text not in str(vars(line))
    assert CLIENT.phone not in str(vars(line))


def test_what_is_sent_has_no_reason_and_no_next_time_in_its_line(world: World) -> None:
    world.provider.answer = ACCEPTED
    with log_lines() as lines:
        deliver(world)
    (line,) = lines
    told = vars(line)
    assert (told["status"], told["reason"], told["not_before"], told["error"]) == ("sent", None, None, None)


def test_a_decision_against_a_request_leaves_a_line_too(world: World) -> None:
    with log_lines(logging.DEBUG) as lines:
        deliver(world, to=None)
        deliver(world, replace(LEASED, not_before=NOW + timedelta(minutes=1)))
    cancelled, left = lines
    assert (cancelled.message, vars(cancelled)["status"]) == ("message not requested", "cancelled")
    assert (left.message, vars(left)["why"], left.levelname) == ("message left alone", "not due", "DEBUG")
    for line in (cancelled, left):
        told = vars(line)
        assert (told["mailing_id"], told["message_id"], told["client_id"]) == (RUNNING.id, LEASED.id, CLIENT.id)
