"""Listing and redriving dead letters."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Status
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket
from chalicelib.errors import TransientError
from chalicelib.services.hold_letters import HOLD
from chalicelib.services.list_dead_letters import ListDeadLetters
from chalicelib.services.receive_tickets import receive_messages
from chalicelib.services.redrive_dead_letters import LOOK_FOR, MAX_LETTERS, RUN, RedriveDeadLetters, Redriven
from tests.builders import NOW, mailing, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment, failing, watched
from tests.log_lines import log_lines
from tests.world import RUN_TIME, World, clients

ALL = tuple(DeadQueue)
SEND, PLAN, EXPRESS, SCHEDULE = DeadQueue.SEND, DeadQueue.PLAN, DeadQueue.EXPRESS, DeadQueue.SCHEDULE
MAILING = mailing()
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    made = World()
    made.add_clients(clients(30))
    made.mailings.create(MAILING)
    return made


@pytest.fixture
def dead(world: World) -> FakeDeadLetters:
    return FakeDeadLetters(world.clock)


def listed(world: World, dead: FakeDeadLetters, queues: Sequence[DeadQueue] = ALL, limit: int = 500) -> list[str]:
    return [letter.id for letter in ListDeadLetters(dead, world.clock)(queues, limit)]


def redrive(
    world: World,
    dead: FakeDeadLetters,
    queues: Sequence[DeadQueue] = ALL,
    ids: frozenset[str] | None = None,
    hook: Hook | None = None,
) -> Redriven:
    letters = watched(dead, hook, "receive", "give_back", "delete", "waiting") if hook else dead
    return RedriveDeadLetters(letters, world.cached(), world.tickets, world.scheduler, world.clock)(queues, ids)


def left(done: Redriven) -> dict[str, int]:
    return {str(reason): number for reason, number in done.left.items() if number}


def planned_tickets(world: World) -> list[str]:
    world.start(MAILING.id)
    world.plan_waiting()
    return [ticket.model_dump_json() for ticket in world.tickets.deliver_messages()]


# --- Listing


def test_letters_of_all_queues_are_listed_oldest_first_and_again(world: World, dead: FakeDeadLetters) -> None:
    ids = [dead.add(queue, "", sent_at=NOW - number * SECOND) for number, queue in enumerate([*ALL, *ALL])]
    assert listed(world, dead) == ids[::-1]
    assert listed(world, dead) == ids[::-1]
    assert listed(world, dead, [PLAN]) == [id_ for id_ in ids[::-1] if dead.letters[id_].queue is PLAN]


def test_no_letters_are_an_empty_list(world: World, dead: FakeDeadLetters) -> None:
    assert listed(world, dead) == []


@pytest.mark.parametrize("limit", [1, 10, 11, 35, 500])
def test_no_more_are_listed_than_asked_for_and_none_stays_hidden(
    world: World, dead: FakeDeadLetters, limit: int
) -> None:
    for number in range(35):
        dead.add(ALL[number % 2], "")
    assert len(listed(world, dead, limit=limit)) == min(limit, 35)
    assert sum(map(dead.waiting, ALL)) == 35


def test_a_letter_that_sqs_delivers_twice_is_listed_once(world: World) -> None:
    class Twice(FakeDeadLetters):
        def receive(self, queue: DeadQueue, hidden_for: timedelta) -> Sequence[DeadLetter]:
            return [*super().receive(queue, hidden_for)] * 2

    dead = Twice(world.clock)
    id_ = dead.add(SEND, "")
    assert listed(world, dead) == [id_]


def test_a_queue_that_does_not_answer_hides_no_letter_of_the_others(world: World, dead: FakeDeadLetters) -> None:
    ids = {dead.add(queue, "") for queue in ALL}

    class Deaf(FakeDeadLetters):
        def receive(self, queue: DeadQueue, hidden_for: timedelta) -> Sequence[DeadLetter]:
            if queue is EXPRESS:
                raise TransientError("no answer")
            return super().receive(queue, hidden_for)

    deaf = Deaf(world.clock)
    deaf.letters = dead.letters
    with pytest.raises(TransientError):
        listed(world, deaf)
    assert {id_ for queue in ALL if deaf.waiting(queue) for id_ in ids if deaf.letters[id_].queue is queue} == ids


def test_letters_that_cannot_be_given_back_are_listed_and_show_themselves_again(
    world: World, dead: FakeDeadLetters
) -> None:
    id_ = dead.add(SEND, "")
    mute = watched(dead, failing(TransientError("no")), "give_back")
    with log_lines(logging.WARNING) as lines:
        assert [letter.id for letter in ListDeadLetters(mute, world.clock)(ALL, 10)] == [id_]
    assert [line.message for line in lines] == ["letters not given back; they show themselves again"]
    assert listed(world, dead) == []
    world.clock.advance(HOLD)
    assert listed(world, dead) == [id_]


def test_a_listing_ends_in_time_and_gives_back_what_it_holds(world: World, dead: FakeDeadLetters) -> None:
    for _ in range(100):
        dead.add(SEND, "")

    def slow(moment: Moment, _name: str) -> None:
        if moment is Moment.AFTER:
            world.clock.advance(4 * SECOND)

    letters = ListDeadLetters(watched(dead, slow, "receive"), world.clock)([SEND], 500)
    assert 0 < len(letters) < 100
    assert dead.waiting(SEND) == 100


# --- Redriving: where letters go


def test_a_readable_ticket_goes_to_the_queue_of_its_mailing(world: World, dead: FakeDeadLetters) -> None:
    small = mailing(id=ulid(101), status=MailingStatus.RUNNING, express=True)
    world.mailings.create(small)
    for queue, one in ((SEND, MAILING), (SEND, small), (EXPRESS, small)):
        dead.add(queue, MessagesTicket(v=1, mailing_id=one.id, message_ids=[1, 2]).model_dump_json())
    assert redrive(world, dead).redriven == 3
    queued = sorted((each.ticket.mailing_id, each.express, each.delay) for each in world.tickets.messages)
    assert queued == [(MAILING.id, False, timedelta()), *[(small.id, True, timedelta())] * 2]
    assert dead.letters == {}
    assert dead.put_backs == []


def test_a_plan_ticket_goes_to_the_plan_queue(world: World, dead: FakeDeadLetters) -> None:
    ticket = SegmentTicket(v=1, mailing_id=MAILING.id, segment="plan#00")
    dead.add(PLAN, ticket.model_dump_json())
    assert redrive(world, dead).redriven == 1
    assert world.tickets.segments == [ticket]
    assert dead.letters == {}


def test_an_event_of_a_schedule_calls_the_planner(world: World, dead: FakeDeadLetters) -> None:
    dead.add(SCHEDULE, json.dumps({"mailing_id": MAILING.id}))
    assert redrive(world, dead).redriven == 1
    assert world.scheduler.started == [MAILING.id]
    assert dead.letters == {}


@pytest.mark.parametrize("body", ["no json", "{}", '{"mailing_id": ""}', '{"mailing_id": 7}'])
def test_an_event_that_names_no_mailing_is_left(world: World, dead: FakeDeadLetters, body: str) -> None:
    dead.add(SCHEDULE, body)
    done = redrive(world, dead)
    assert (done.redriven, left(done)) == (0, {"no_mailing": 1})
    assert dead.waiting(SCHEDULE) == 1


@pytest.mark.parametrize(
    ("queue", "body"),
    [
        (SEND, "no json"),
        (EXPRESS, ""),
        (PLAN, "{}"),
        (SEND, MessagesTicket(v=1, mailing_id=ulid(999), message_ids=[1]).model_dump_json()),
    ],
)
def test_what_cannot_be_read_or_names_no_mailing_is_put_before_its_handler_as_it_is(
    world: World, dead: FakeDeadLetters, queue: DeadQueue, body: str
) -> None:
    dead.add(queue, body)
    assert redrive(world, dead).redriven == 1
    assert dead.put_backs == [(queue, body)]
    assert dead.letters == {}


def test_each_redriven_letter_is_a_log_line_with_its_ids(world: World, dead: FakeDeadLetters) -> None:
    id_ = dead.add(SEND, MessagesTicket(v=1, mailing_id=MAILING.id, message_ids=[1, 2]).model_dump_json())
    with log_lines() as lines:
        redrive(world, dead)
    (line,) = [vars(line) for line in lines if line.message == "dead letter redriven"]
    assert {name: line[name] for name in ("sqs_message_id", "queue", "mailing_id", "message_ids", "segment")} == {
        "sqs_message_id": id_,
        "queue": SEND,
        "mailing_id": MAILING.id,
        "message_ids": [1, 2],
        "segment": None,
    }


# --- Redriving: which letters


def test_only_letters_of_the_queues_and_ids_asked_for_are_redriven(world: World, dead: FakeDeadLetters) -> None:
    ids = [dead.add(queue, "") for queue in (SEND, SEND, PLAN)]
    assert redrive(world, dead, [SEND], frozenset({ids[1], ids[2]})).redriven == 1
    assert listed(world, dead) == [ids[0], ids[2]]
    assert redrive(world, dead, [PLAN]).redriven == 1
    assert listed(world, dead) == [ids[0]]


def test_ids_that_are_not_there_are_counted(world: World, dead: FakeDeadLetters) -> None:
    id_ = dead.add(SEND, "")
    ids = frozenset({id_, "gone", "never-was"})
    done = redrive(world, dead, ALL, ids)
    assert (done.redriven, left(done)) == (1, {"not_found": 2})
    done = redrive(world, dead, ALL, ids)
    assert (done.redriven, left(done)) == (0, {"not_found": 3})


def test_no_more_are_looked_at_than_needed_to_find_those_asked_for(world: World, dead: FakeDeadLetters) -> None:
    ids = [dead.add(SEND, "") for _ in range(50)]
    looks = KillSwitch()
    assert redrive(world, dead, [SEND], frozenset({ids[15]}), hook=looks).redriven == 1
    assert looks.calls == 4, "two answers, a deletion, the giving back"
    assert dead.waiting(SEND) == 49


def test_redriving_nothing_is_harmless(world: World, dead: FakeDeadLetters) -> None:
    done = redrive(world, dead)
    assert (done.redriven, left(done)) == (0, {})


# --- Redriving: what goes wrong


def test_garbage_that_comes_back_at_once_is_redriven_once_in_a_run(world: World) -> None:
    class Returning(FakeDeadLetters):
        """The handler sets the ticket aside again before the next letter is touched."""

        def put_back(self, letter: DeadLetter) -> None:
            super().put_back(letter)
            batch = [{"messageId": letter.id, "body": letter.body}]
            stop_at = self._clock() + RUN_TIME
            receive_messages(batch, world.sender(), self._set_aside, stop_at)

        def _set_aside(self, body: str, cause: str) -> None:
            self.add(SEND, body, cause)

    dead = Returning(world.clock)
    before = {dead.add(queue, f"garbage {number}") for number in range(25) for queue in (EXPRESS, SEND)}
    assert redrive(world, dead).redriven == 50
    assert len(dead.put_backs) == 50
    letters = ListDeadLetters(dead, world.clock)(ALL, 500)
    assert not before & {letter.id for letter in letters}
    assert len(letters) == 50
    assert {letter.cause[:18] for letter in letters} == {"unreadable ticket:"}


@pytest.mark.parametrize(
    ("queue", "body", "broken"),
    [
        (SEND, MessagesTicket(v=1, mailing_id=MAILING.id, message_ids=[1]).model_dump_json(), "queue"),
        (PLAN, SegmentTicket(v=1, mailing_id=MAILING.id, segment="plan#00").model_dump_json(), "queue"),
        (SCHEDULE, json.dumps({"mailing_id": MAILING.id}), "planner"),
        (SEND, "no json", "deletion"),
    ],
)
def test_what_is_not_taken_stays_and_the_others_go_on(
    world: World, dead: FakeDeadLetters, queue: DeadQueue, body: str, broken: str
) -> None:
    id_ = dead.add(queue, body)
    dead.add(EXPRESS, "goes on")
    once = failing(TransientError("no"))
    tickets = watched(world.tickets, once, "send_messages", "send_segments") if broken == "queue" else world.tickets
    world.scheduler.down = broken == "planner"
    letters = watched(dead, once, "delete") if broken == "deletion" else dead
    with log_lines(logging.WARNING) as lines:
        done = RedriveDeadLetters(letters, world.cached(), tickets, world.scheduler, world.clock)(ALL, None)
    assert (done.redriven, left(done)) == (1, {"not_taken": 1})
    assert listed(world, dead) == [id_]
    (line,) = lines
    assert (line.message, vars(line)["sqs_message_id"]) == ("dead letter not redriven", id_)


def ticking(world: World, step: timedelta, *names: str) -> Callable[[Moment, str], None]:
    def tick(moment: Moment, name: str) -> None:
        if moment is Moment.AFTER and name in names:
            world.clock.advance(step)

    return tick


def test_a_run_ends_in_time_and_says_how_many_are_left(world: World, dead: FakeDeadLetters) -> None:
    for _ in range(50):
        dead.add(SEND, "")
    done = redrive(world, dead, hook=ticking(world, SECOND, "delete"))
    assert (done.redriven, left(done)) == (RUN / SECOND, {"no_time": 50 - RUN / SECOND})
    assert dead.waiting(SEND) == 50 - RUN / SECOND


def test_a_run_does_not_look_for_ever(world: World, dead: FakeDeadLetters) -> None:
    for _ in range(200):
        dead.add(SEND, "")
    done = redrive(world, dead, [SEND], hook=ticking(world, SECOND, "receive"))
    seen = 10 * int(LOOK_FOR / SECOND)
    assert (done.redriven, left(done)) == (seen, {"not_looked_at": 200 - seen})


def test_a_run_takes_no_more_than_fits_in_memory(world: World, dead: FakeDeadLetters) -> None:
    for _ in range(MAX_LETTERS + 5):
        dead.add(SEND, "")
    done = redrive(world, dead)
    assert (done.redriven, left(done)) == (MAX_LETTERS, {"not_looked_at": 5})
    assert redrive(world, dead).redriven == 5


# --- Through all checks


def test_redriven_tickets_of_sent_messages_send_nothing(world: World, dead: FakeDeadLetters) -> None:
    bodies = planned_tickets(world)
    for body in bodies:
        dead.add(SEND, body)
    world.send([MessagesTicket.model_validate_json(body) for body in bodies])
    before, requests = world.rows(MAILING), len(world.provider.requests)
    assert {row.status for row in before} == {Status.SENT}
    assert redrive(world, dead).redriven == len(bodies)
    assert world.send_waiting() == set()
    assert world.rows(MAILING) == before
    assert len(world.provider.requests) == requests == 30


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("call", [1, 2])
def test_a_run_that_is_killed_loses_no_ticket_and_sends_nothing_twice(
    world: World, dead: FakeDeadLetters, moment: Moment, call: int
) -> None:
    for body in planned_tickets(world):
        dead.add(SEND, body)
    letters = watched(dead, KillSwitch(call, moment), "delete")
    with pytest.raises(Killed):
        RedriveDeadLetters(letters, world.cached(), world.tickets, world.scheduler, world.clock)(ALL, None)
    world.clock.advance(HOLD)
    redrive(world, dead)
    world.send_waiting()
    assert {row.status for row in world.rows(MAILING)} == {Status.SENT}
    assert len(world.provider.requests) == 30
    assert dead.letters == {}
    world.check(MAILING)


def test_a_redriven_ticket_of_a_cancelled_mailing_sends_nothing(world: World, dead: FakeDeadLetters) -> None:
    for body in planned_tickets(world):
        dead.add(SEND, body)
    world.control().cancel(MAILING.id)
    redrive(world, dead)
    world.send_waiting()
    assert {row.status for row in world.rows(MAILING)} == {Status.CANCELLED}
    assert world.provider.requests == []


def test_a_redriven_event_of_a_schedule_starts_its_mailing_once(world: World, dead: FakeDeadLetters) -> None:
    for _ in range(3):
        dead.add(SCHEDULE, json.dumps({"mailing_id": MAILING.id}))
    redrive(world, dead)
    for mailing_id in world.scheduler.started:
        world.start(mailing_id)
    started: Any = world.mailings.get(MAILING.id)
    assert started == replace(started, status=MailingStatus.RUNNING, version=MAILING.version + 1)
    world.plan_waiting()
    assert len(world.rows(MAILING)) == 30
