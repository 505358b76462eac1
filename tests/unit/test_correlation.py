"""One id on the way from the API call to the provider: through rows and tickets, over threads, into each line."""

import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import observability
from chalicelib.correlation import correlated, current_correlation_id, ids_at_hand
from chalicelib.domain.answer import Answer
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Status
from chalicelib.domain.tickets import MailingTicket
from chalicelib.services.manage_mailings import NewMailing
from chalicelib.services.receive_tickets import receive_imports, receive_messages, receive_segments
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.provider import ACCEPTED, BUSY, Request
from tests.import_world import ImportWorld
from tests.world import RUN_TIME, World, clients

NEW = NewMailing(NOW, NOW + timedelta(days=1), "Your order has arrived.", AudienceFilter())
RUNNING = mailing(status=MailingStatus.RUNNING, correlation_id="earlier", planned_at=NOW)


def records(tickets: Sequence[MailingTicket]) -> list[dict[str, Any]]:
    """Make of tickets what Lambda makes of them."""
    return [
        {
            "messageId": f"record-{number}",
            "body": ticket.model_dump_json(),
            "messageAttributes": {"correlation_id": {"stringValue": ticket.correlation_id, "dataType": "String"}},
        }
        for number, ticket in enumerate(tickets)
    ]


def plan(world: World) -> None:
    batch = records(world.tickets.deliver_segments())
    receive_segments(batch, world.plan_segment(), world.tickets.dead_letter, world.clock() + RUN_TIME)


def send(world: World, threads: int = 1) -> None:
    batch = records(world.tickets.deliver_messages())
    with ThreadPoolExecutor(threads) as executor:
        receive_messages(batch, world.sender(executor), world.tickets.dead_letter, world.clock() + RUN_TIME)


@contextmanager
def lines() -> Iterator[list[dict[str, Any]]]:
    """Collect the lines that leave in the block, as they leave."""
    handler, stream, told = observability.logger.logger_handler, io.StringIO(), list[dict[str, Any]]()
    package = logging.getLogger("chalicelib")
    before, package.handlers = package.handlers, [handler]
    stdout = handler.setStream(stream)  # type: ignore[attr-defined]  # it is a StreamHandler
    try:
        yield told
    finally:
        handler.setStream(stdout)  # type: ignore[attr-defined]  # as above
        package.handlers = before
        told += map(json.loads, stream.getvalue().splitlines())


# --- Work and its ids


def test_work_has_the_ids_of_the_work_around_it_and_its_own() -> None:
    with correlated("call", mailing_id="m"):
        with correlated(None, message_id=7):
            assert ids_at_hand() == {"correlation_id": "call", "mailing_id": "m", "message_id": 7}
        with correlated("other"):
            assert current_correlation_id() == "other"
        assert ids_at_hand() == {"correlation_id": "call", "mailing_id": "m"}
    assert ids_at_hand() == {}
    assert current_correlation_id() is None


def test_work_that_fails_leaves_no_ids_behind() -> None:
    with pytest.raises(ValueError, match="lost"), correlated("call"):
        raise ValueError("lost")
    assert current_correlation_id() is None


def test_lines_have_the_ids_of_the_work_but_for_those_that_they_name_themselves() -> None:
    with lines() as told, correlated("call", mailing_id="m", message_id=7):
        logging.getLogger("chalicelib.services").info("told", extra={"mailing_id": "named"})
        observability.logger.info("told too")
    named, other = told
    assert (named["correlation_id"], named["mailing_id"], named["message_id"]) == ("call", "named", 7)
    assert (other["correlation_id"], other["mailing_id"]) == ("call", "m")


def test_lines_of_work_without_ids_have_none() -> None:
    with lines() as told:
        observability.logger.info("told")
    assert told[0].keys().isdisjoint({"correlation_id", "mailing_id"})


# --- From the call to the provider


@pytest.mark.parametrize("express_max_clients", [-1, 1000], ids=["by plan tickets", "at once"])
def test_the_call_s_id_comes_to_the_provider(express_max_clients: int) -> None:
    world = World(express_max_clients=express_max_clients)
    world.add_clients(clients(30))
    asked: list[str | None] = []

    def answer(_: Request) -> Answer:
        asked.append(current_correlation_id())
        return ACCEPTED

    world.provider.answer = answer
    with lines() as told:
        with correlated("call"):
            made = world.manage().create(NEW)
        world.start(made.id)
        plan(world)
        send(world, threads=4)

    assert asked == ["call"] * 30
    assert [line["message"] for line in told].count("message requested") == 30
    assert [line for line in told if line.get("correlation_id") != "call"] == []


def test_each_mailing_of_a_batch_keeps_its_own_id() -> None:
    world = World()
    world.add_clients(clients(4))  # too few to open the breaker
    asked: dict[int, str | None] = {}

    def answer(request: Request) -> Answer:
        asked[request.id] = current_correlation_id()
        return BUSY

    world.provider.answer = answer
    mailings = []
    for call in ("one", "two"):
        with correlated(call):
            mailings.append(world.manage().create(NEW))
        world.start(mailings[-1].id)
    plan(world)
    send(world, threads=4)

    ids = {row.id: made.correlation_id for made in mailings for row in world.rows(made)}
    assert asked == ids
    tickets = [queued.ticket for queued in world.tickets.messages]
    put_off = [(id_, ticket.correlation_id) for ticket in tickets for id_ in ticket.message_ids]
    assert sorted(put_off) == sorted(ids.items())


def test_a_ticket_that_cannot_be_read_is_set_aside_under_its_id() -> None:
    world, under = World(), list[str | None]()
    batch = [{"messageId": "r", "body": "{", "messageAttributes": {"correlation_id": {"stringValue": "call"}}}]
    receive_messages(batch, world.sender(), lambda *_: under.append(current_correlation_id()), world.clock() + RUN_TIME)
    assert under == ["call"]


def test_an_import_that_hands_itself_on_keeps_its_id() -> None:
    under: list[str | None] = []
    body = {"v": 1, "import_ids": [ulid(200)]}
    batch = [
        {"messageId": "r", "body": json.dumps(body), "messageAttributes": {"correlation_id": {"stringValue": "call"}}}
    ]
    run: Any = lambda *_: under.append(current_correlation_id())  # noqa: E731 - what stands for the import
    receive_imports(batch, run, ImportWorld().tickets.dead_letter, NOW)
    assert under == ["call"]


# --- Who gives a mailing its id


def change_text(world: World) -> None:
    world.manage().update(RUNNING.id, lambda before: replace(before, text="Another"))


CALLS: dict[str, tuple[Mailing, Callable[[World], object]]] = {
    "start": (mailing(status=MailingStatus.DRAFT), lambda world: world.control().start(RUNNING.id)),
    "pause": (RUNNING, lambda world: world.control().pause(RUNNING.id)),
    "resume": (replace(RUNNING, status=MailingStatus.PAUSED), lambda world: world.control().resume(RUNNING.id)),
    "cancel": (RUNNING, lambda world: world.control().cancel(RUNNING.id)),
    "retry": (RUNNING, lambda world: world.control().retry(RUNNING.id)),
    "change": (RUNNING, change_text),
    "delete": (RUNNING, lambda world: world.manage().delete(RUNNING.id)),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_latest_call_gives_a_mailing_its_id_and_its_sweep(call: str) -> None:
    before, do = CALLS[call]
    world = World()
    world.mailings.create(before)
    with correlated("latest"):
        do(world)
    stored = world.mailings.get(RUNNING.id)
    assert stored
    assert stored.correlation_id == "latest"
    assert {ticket.correlation_id for ticket in world.tickets.segments} <= {"latest"}


def test_a_test_has_the_id_of_its_own_call() -> None:
    world = World()
    world.add_clients(clients(1))
    world.mailings.create(RUNNING)
    with correlated("test"):
        sent = world.send_test()(RUNNING.id, ulid(1), ulid(300))
    tested = world.mailings.get(sent.mailing_id)
    assert tested
    assert tested.correlation_id == "test"
    assert world.tickets.messages[0].ticket.correlation_id == "test"


def test_what_functions_change_of_a_mailing_leaves_its_id() -> None:
    world = World()
    world.mailings.create(RUNNING)
    with lines() as told:
        world.finish()(RUNNING.id)
    stored = world.mailings.get(RUNNING.id)
    assert stored
    assert (stored.status, stored.correlation_id) == (MailingStatus.FINISHED, "earlier")
    assert [(line["message"], line["correlation_id"]) for line in told] == [("mailing finished", "earlier")]


# --- The dispatcher


def test_what_is_dispatched_again_has_the_id_of_its_mailing() -> None:
    world = World()
    world.mailings.create(RUNNING)
    world.messages.add(message(mailing_id=RUNNING.id, status=Status.QUEUED, due_at=NOW))
    world.dispatch()
    (queued,) = world.tickets.messages
    assert queued.ticket.correlation_id == "earlier"


def test_a_segment_that_is_due_again_has_the_id_of_its_mailing() -> None:
    world = World()
    world.add_clients(clients(1))
    world.mailings.create(mailing(correlation_id="earlier"))
    world.start(RUNNING.id)
    world.tickets.queued_segments.clear()
    world.clock.advance(timedelta(minutes=8))
    world.dispatch()
    assert {ticket.correlation_id for ticket in world.tickets.segments} == {"earlier"}


def test_a_mailing_that_is_late_is_called_under_its_id() -> None:
    world = World()
    world.mailings.create(mailing(correlation_id="earlier"))
    with lines() as told:
        world.dispatcher().start_due()
    assert [(line["message"], line["correlation_id"]) for line in told] == [("mailing is due", "earlier")]
