import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.answer import Answer
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Status
from chalicelib.domain.tickets import ImportTicket, MessagesTicket, SegmentTicket, Ticket
from chalicelib.errors import TransientError
from chalicelib.services.receive_tickets import (
    Report,
    receive_imports,
    receive_messages,
    receive_segments,
    receive_start,
)
from tests.builders import mailing, ulid
from tests.fakes.provider import ACCEPTED, Request
from tests.fakes.watched import Moment, failing
from tests.import_world import ImportWorld, csv_of
from tests.log_lines import log_lines
from tests.world import RUN_TIME, World, clients

SCHEDULED = mailing()
ALL_DONE: Report = {"batchItemFailures": []}


@pytest.fixture
def world() -> World:
    made = World(plan_segments=3, express_max_clients=0)
    made.add_clients(clients(48))
    made.mailings.create(SCHEDULED)
    made.start(SCHEDULED.id)
    return made


def records(*bodies: str | Ticket | ImportTicket) -> list[dict[str, Any]]:
    return [
        {"messageId": f"record-{number}", "body": body if isinstance(body, str) else body.model_dump_json()}
        for number, body in enumerate(bodies)
    ]


def failed(*numbers: int) -> Report:
    return {"batchItemFailures": [{"itemIdentifier": f"record-{number}"} for number in numbers]}


def receive(world: World, batch: Sequence[dict[str, Any]]) -> Report:
    return receive_messages(batch, world.sender(), world.tickets.dead_letter, world.clock() + RUN_TIME)


def plan(world: World, batch: Sequence[dict[str, Any]]) -> Report:
    return receive_segments(batch, world.plan_segment(), world.tickets.dead_letter, world.clock() + RUN_TIME)


def planned(world: World) -> list[MessagesTicket]:
    world.plan_waiting()
    return world.tickets.deliver_messages()


# --- Messages


def test_tickets_are_worked_off(world: World) -> None:
    assert receive(world, records(*planned(world))) == ALL_DONE
    assert {row.status for row in world.rows(SCHEDULED)} == {Status.SENT}


@pytest.mark.parametrize("poison", ["no json", '{"v":2,"mailing_id":"m","message_ids":[1]}', "{}", ""])
def test_a_ticket_that_cannot_be_read_is_set_aside_with_its_cause_and_the_others_go_on(
    world: World, poison: str
) -> None:
    first, *others = planned(world)
    with log_lines(logging.ERROR) as lines:
        assert receive(world, records(first, poison, *others)) == ALL_DONE
    assert {row.status for row in world.rows(SCHEDULED)} == {Status.SENT}
    ((body, cause),) = world.tickets.dead
    assert body == poison
    assert cause.startswith("unreadable ticket: ")
    (line,) = lines
    assert line.message == "ticket set aside"
    assert (vars(line)["cause"], vars(line)["sqs_message_id"]) == (cause, "record-1")


def test_a_ticket_that_cannot_even_be_set_aside_comes_again_and_the_others_go_on(world: World) -> None:
    def no_queue(_body: str, _cause: str) -> None:
        raise TransientError("no queue")

    first, *others = planned(world)
    batch = records(first, "no json", *others)
    report = receive_messages(batch, world.sender(), no_queue, world.clock() + RUN_TIME)
    assert report == failed(1)
    assert {row.status for row in world.rows(SCHEDULED)} == {Status.SENT}


def test_a_batch_of_poison_alone_is_done(world: World) -> None:
    assert receive(world, records("", "{}")) == ALL_DONE
    assert len(world.tickets.dead) == 2


def test_what_failed_is_reported_by_the_id_of_its_own_record(world: World) -> None:
    first, second, *_ = planned(world)
    broken = second.message_ids[3]

    def answer(request: Request) -> Answer:
        if request.id == broken:
            raise RuntimeError("a fault of ours")
        return ACCEPTED

    world.provider.answer = answer
    assert receive(world, records("no json", first, second)) == failed(2)


# --- Segments


def test_segments_are_planned(world: World) -> None:
    assert plan(world, records(*world.tickets.deliver_segments())) == ALL_DONE
    assert len(world.rows(SCHEDULED)) == 48


def test_a_plan_ticket_that_cannot_be_read_is_set_aside_and_the_others_go_on(world: World) -> None:
    poison = '{"v":1,"mailing_id":"m","message_ids":[1]}'
    assert plan(world, records(poison, *world.tickets.deliver_segments())) == ALL_DONE
    assert len(world.rows(SCHEDULED)) == 48
    assert [body for body, _ in world.tickets.dead] == [poison]


@pytest.mark.parametrize("error", [TransientError("throttled"), RuntimeError("a fault of ours")])
def test_a_segment_that_could_not_be_planned_comes_again_and_the_others_go_on(world: World, error: Exception) -> None:
    tickets = world.tickets.deliver_segments()
    plans = 0

    def fail_second(moment: Moment, name: str) -> None:
        nonlocal plans
        plans += (moment, name) == (Moment.BEFORE, "plan")
        if (moment, name, plans) == (Moment.BEFORE, "plan", 2):
            raise error

    world.hook = fail_second
    with log_lines() as lines:
        assert plan(world, records(*tickets)) == failed(1)
    assert len({segment.segment for segment in world.segments.of_mailing(SCHEDULED.id) if segment.done}) == 2
    assert any(vars(line).get("mailing_id") == SCHEDULED.id and line.exc_info for line in lines)
    world.clock.advance(timedelta(minutes=6))
    assert plan(world, records(tickets[1])) == ALL_DONE
    assert len(world.rows(SCHEDULED)) == 48
    world.check(SCHEDULED)


def test_a_ticket_of_no_segment_is_dropped(world: World) -> None:
    assert plan(world, records(SegmentTicket(v=1, mailing_id="none", segment="plan#00"))) == ALL_DONE
    assert world.tickets.dead == []


# --- Starts


def test_the_mailing_that_an_event_names_is_started(world: World) -> None:
    other = mailing(id=ulid(200))
    world.mailings.create(other)
    receive_start({"mailing_id": other.id}, world.planner())
    assert world.mailings.stored[other.id].status is MailingStatus.RUNNING


@pytest.mark.parametrize("event", [{}, {"mailing_id": ""}, {"mailing_id": 7}, {"mailing_id": None}, {"id": "x", 1: 2}])
def test_an_event_that_names_no_mailing_is_dropped_with_a_word(world: World, event: dict[Any, Any]) -> None:
    before = dict(world.mailings.stored)
    with log_lines() as lines:
        receive_start(event, world.planner())
    assert world.mailings.stored == before
    (line,) = lines
    assert (line.levelname, vars(line)["fields"]) == ("ERROR", sorted(map(str, event)))


# --- Imports

ONE = csv_of(["79161234567,Europe/Moscow,"])


def take_imports(world: ImportWorld, *bodies: str | ImportTicket) -> Report:
    return receive_imports(records(*bodies), world.run_import(), world.tickets.dead_letter, world.clock() + RUN_TIME)


def notice(*keys: str) -> str:
    return json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Post", "s3": {"object": {"key": key}}} for key in keys]}
    )


def test_imports_are_begun_by_the_notice_of_s3_or_by_a_ticket() -> None:
    world = ImportWorld()
    by_notice, by_ticket = world.uploaded(ONE), world.uploaded(ONE)
    ticket = ImportTicket(v=1, import_ids=[by_ticket.id])
    assert take_imports(world, notice(by_notice.id), ticket) == ALL_DONE
    assert {one.ended for one in world.imports.stored.values()} == {True}


def test_a_notice_that_is_only_a_try_or_of_no_import_of_ours_is_done() -> None:
    world = ImportWorld()
    assert take_imports(world, json.dumps({"Event": "s3:TestEvent", "Bucket": "b"}), notice("by+hand.csv")) == ALL_DONE
    assert world.tickets.dead == []


@pytest.mark.parametrize("body", ["", "[]", '{"Records": [{"s3": 7}]}', '{"Records": 7}', '{"v": 2, "import_ids": []}'])
def test_a_ticket_of_imports_that_cannot_be_read_is_set_aside(body: str) -> None:
    world = ImportWorld()
    assert take_imports(world, body) == ALL_DONE
    ((_, cause),) = world.tickets.dead
    assert cause.startswith("unreadable ticket: ")


def test_an_import_that_was_interrupted_comes_again_and_the_others_go_on() -> None:
    world = ImportWorld()
    tickets = [ImportTicket(v=1, import_ids=[world.uploaded(ONE).id]) for _ in range(2)]
    world.hook = failing(TransientError("no answer"))
    with log_lines(logging.ERROR) as lines:
        assert take_imports(world, *tickets) == failed(0)
    assert [line.message for line in lines] == ["import interrupted; its ticket comes again"]
    assert [one.ended for one in world.imports.stored.values()] == [False, True]


def test_the_latest_ticket_that_a_queue_has_handed_out_is_known(world: World) -> None:
    batch = records("garbage", *planned(world)[:1])
    for number, record in enumerate(batch):
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:my-vestnik-send"
        record["attributes"] = {"SentTimestamp": str(1_795_413_600_000 + number)}
    assert receive(world, batch) == ALL_DONE
    assert world.figures.stored.received == {"send": datetime(2026, 11, 23, 6, 0, 0, 1000, tzinfo=UTC)}
