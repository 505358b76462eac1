import io
import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from chalicelib import observability
from chalicelib.domain.answer import Answer
from chalicelib.domain.client import Client
from chalicelib.domain.figures import Source
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import UNLEASED, Message, Reason, Status
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.errors import TransientError
from chalicelib.services.send_messages import _Result, _Results
from tests.builders import NOW, client, mailing, message, ulid
from tests.fakes.clock import FakeClock
from tests.fakes.provider import ACCEPTED, BUSY, REFUSED, TIMEOUT, Request
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment
from tests.log_lines import log_lines
from tests.world import RUN_TIME, World, clients

SECOND = timedelta(seconds=1)
VISIBILITY = timedelta(minutes=3)
RUNNING = mailing(status=MailingStatus.RUNNING, planned_at=NOW, version=3)


class WallClock(FakeClock):
    """A clock that runs, from NOW on: for what waits in real threads."""

    def __init__(self) -> None:
        super().__init__()
        self._started = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now + (datetime.now(UTC) - self._started)


def world(rows: int = 30, of: Mailing = RUNNING, *, clock: FakeClock | None = None) -> World:
    """Make a mailing that is planned: rows 1, 2, … of clients 1, 2, …"""
    made = World(clock=clock or FakeClock())
    made.add_clients(clients(rows))
    made.mailings.create(of)
    add_rows(made, (message(id=n, client_id=ulid(n), mailing_id=of.id) for n in range(1, rows + 1)))
    return made


def as_planned(made: World) -> None:
    """Put all rows into bundles of a ticket each, as the planner does."""
    for id_, row in made.messages.stored.items():
        made.messages.stored[id_] = replace(row, version=f"bundle-{(id_ - 1) // 24}", lease_until=row.due_at)


def add_rows(made: World, rows: Iterable[Message]) -> None:
    for row in rows:
        made.messages.add(row)


def tickets(*ids: Iterable[int], of: Mailing = RUNNING) -> list[MessagesTicket]:
    return [MessagesTicket(v=1, mailing_id=of.id, message_ids=list(some)) for some in ids]


def statuses(made: World, of: Mailing = RUNNING) -> Counter[Status]:
    return Counter(row.status for row in made.rows(of))


def before(name: str, action: Callable[[], object], times: int = 1) -> Hook:
    """Make a hook that does something before the first calls of a method."""
    left = times

    def hook(moment: Moment, called: str) -> None:
        nonlocal left
        if (moment, called) == (Moment.BEFORE, name) and left:
            left -= 1
            action()

    return hook


def fail(error: Exception) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


def failing_for(ids: set[int], answer: Answer = ACCEPTED) -> Callable[[Request], Answer]:
    """Make a provider's answers of which some are a fault of ours."""

    def respond(request: Request) -> Answer:
        if request.id in ids:
            raise RuntimeError("a fault of ours")
        return answer

    return respond


# --- The way of a batch


def test_each_message_of_the_tickets_is_requested_once_and_recorded() -> None:
    made = world(30)
    assert made.send(tickets(range(1, 25), range(25, 31))) == set()
    assert Counter(request.id for request in made.provider.requests) == Counter(range(1, 31))
    assert {(request.phone, request.text) for request in made.provider.requests} == {
        (one.phone, RUNNING.text) for one in clients(30)
    }
    assert statuses(made) == {Status.SENT: 30}
    assert made.messages.counts[RUNNING.id] == {"queued": 0, "sent": 30, "attempts": 30}
    made.check(RUNNING)


def test_the_last_row_finishes_its_mailing() -> None:
    made = world(30)
    made.send(tickets(range(1, 20), range(20, 30)))
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.RUNNING
    made.send(tickets([30]))
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED


def test_many_tickets_are_worked_off_by_many_threads() -> None:
    made = world(300)
    with ThreadPoolExecutor(8) as threads:
        assert made.send(tickets(*(range(n, n + 20) for n in range(1, 301, 20))), threads) == set()
    assert Counter(request.id for request in made.provider.requests) == Counter(range(1, 301))
    assert statuses(made) == {Status.SENT: 300}
    made.check(RUNNING)


def test_rows_are_leased_ahead_of_the_threads_but_not_far() -> None:
    made = world(960)
    leased, ahead, leased_twice = 0, [], threading.Event()

    def answer(_request: Request) -> Answer:
        assert leased_twice.wait(5)
        return ACCEPTED

    def hook(moment: Moment, name: str) -> None:
        nonlocal leased
        if (moment, name) == (Moment.AFTER, "lease"):
            leased += 96
            ahead.append(leased - len(made.provider.requests))
            if len(ahead) == 2:
                leased_twice.set()

    made.provider.answer = answer
    made.hook = hook
    with ThreadPoolExecutor(4) as threads:
        made.send(tickets(*(range(n, n + 24) for n in range(1, 961, 24))), threads)
    assert statuses(made) == {Status.SENT: 960}
    # 96 rows and the four threads', and then the four tickets that were leased last.
    assert 96 < max(ahead) < 4 + 96 + 96


def test_a_batch_of_two_mailings_is_recorded_and_finished_for_each() -> None:
    other = replace(RUNNING, id=ulid(200), text="Another text.", express=True)
    made = world(10)
    made.mailings.create(other)
    add_rows(made, (message(id=100 + n, client_id=ulid(n), mailing_id=other.id) for n in range(1, 11)))
    made.provider.answer = lambda request: BUSY if request.id in {5, 105} else ACCEPTED
    assert made.send([*tickets(range(1, 11)), *tickets(range(101, 111), of=other)]) == set()
    for one, first in ((RUNNING, 1), (other, 101)):
        assert statuses(made, one) == {Status.SENT: 9, Status.DEFERRED: 1}
        texts = {request.text for request in made.provider.requests if first <= request.id < first + 10}
        assert texts == {one.text}
        made.check(one)
    again = [(queued.ticket.mailing_id, queued.ticket.message_ids, queued.express) for queued in made.tickets.messages]
    assert sorted(again) == [(RUNNING.id, [5], False), (other.id, [105], True)]
    made.clock.advance(timedelta(minutes=1))
    made.provider.answer = ACCEPTED
    made.send_waiting()
    assert {one.status for one in made.mailings.stored.values()} == {MailingStatus.FINISHED}


# --- Duplicates


def test_every_ticket_delivered_twice_changes_nothing() -> None:
    made = world(30)
    batch = tickets(range(1, 25), range(20, 31))  # ids in two tickets as well
    made.send([*batch, *batch])
    once, counts = dict(made.messages.stored), made.messages.counts[RUNNING.id].copy()
    made.send(batch)
    assert made.messages.stored == once
    assert made.messages.counts[RUNNING.id] == counts
    assert made.provider.accepted_twice() == set()
    assert len(made.provider.requests) == 30
    assert made.tickets.messages == []


def test_a_ticket_that_comes_again_while_its_first_copy_is_on_its_way_changes_nothing() -> None:
    made = world(96)
    as_planned(made)
    batch = tickets(*(range(n, n + 24) for n in range(1, 97, 24)))
    # All of it is begun before the first answers are recorded.
    assert made.send([*batch, *batch, *tickets(range(85, 97), [7, 7, 8])]) == set()
    assert Counter(request.id for request in made.provider.requests) == Counter(range(1, 97))
    assert made.claims.stored.keys() == {f"bundle-{n}" for n in range(4)}
    assert made.tickets.messages == []
    made.check(RUNNING)


@pytest.mark.parametrize("answer", [BUSY, TIMEOUT, REFUSED])
def test_a_duplicate_does_not_make_an_attempt_early_or_again(answer: Answer) -> None:
    made = world(3)
    made.provider.answer = answer
    made.send(tickets([1, 2, 3]))
    once, waiting = dict(made.messages.stored), list(made.tickets.messages)
    made.provider.answer = replace(answer, retry_after=None)
    made.clock.advance(-SECOND)  # as early as a ticket can be: the wait is 1 s
    made.send(tickets([1, 2, 3]))
    assert len(made.provider.requests) == 3
    assert {id_: replace(row, version="") for id_, row in made.messages.stored.items()} == {
        id_: replace(row, version="") for id_, row in once.items()
    }
    assert made.tickets.messages == waiting


def test_tickets_in_eight_senders_at_once_send_each_message_once() -> None:
    made = world(200)
    batch = tickets(*(range(n, n + 20) for n in range(1, 201, 20)))
    start = threading.Barrier(8)

    def send() -> set[int]:
        start.wait(5)
        return made.send(batch)

    with ThreadPoolExecutor(8) as senders:
        assert [future.result(10) for future in [senders.submit(send) for _ in range(8)]] == [set()] * 8
    assert Counter(request.id for request in made.provider.requests) == Counter(range(1, 201))
    assert statuses(made) == {Status.SENT: 200}
    made.check(RUNNING)
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED


# --- What is true at this moment


def test_the_client_and_the_mailing_count_as_they_are_when_the_ticket_comes() -> None:
    made = world(3)
    made.clients.delete(clients(1)[0])
    changed = replace(clients(3)[1], phone="79990000000", version=2)
    made.clients.replace(clients(3)[1], changed)
    made.mailings.replace(RUNNING, replace(RUNNING, text="A better text.", version=4))
    made.send(tickets([1, 2, 3]))
    assert [(request.id, request.phone) for request in made.provider.requests] == [
        (2, "79990000000"),
        (3, clients(3)[2].phone),
    ]
    assert {request.text for request in made.provider.requests} == {"A better text."}
    assert [row.status for row in made.rows(RUNNING)] == [Status.CANCELLED, Status.SENT, Status.SENT]
    made.check(RUNNING)


def test_clients_that_were_read_after_a_slow_lease_are_not_read_again() -> None:
    made = world(2)
    made.hook = before("lease", lambda: made.clock.advance(3 * SECOND))
    made.clients.get = unexpected  # type: ignore[method-assign]
    made.send(tickets([1, 2]))
    assert statuses(made) == {Status.SENT: 2}


def unexpected(client_id: str) -> Client | None:
    raise AssertionError(f"{client_id} was read by itself")


@pytest.mark.parametrize(
    ("status", "becomes", "finally_"),
    [
        (MailingStatus.CANCELLED, Status.CANCELLED, MailingStatus.CANCELLED),
        (MailingStatus.DELETED, Status.CANCELLED, MailingStatus.DELETED),
        (MailingStatus.PAUSED, Status.DEFERRED, MailingStatus.PAUSED),
    ],
)
def test_a_mailing_that_was_stopped_sends_nothing(
    status: MailingStatus, becomes: Status, finally_: MailingStatus
) -> None:
    made = world(3, replace(RUNNING, status=status))
    made.send(tickets([1, 2, 3]))
    assert made.provider.requests == []
    assert statuses(made) == {becomes: 3}
    assert made.mailings.stored[RUNNING.id].status is finally_
    assert made.tickets.messages == []
    made.check(RUNNING)


def test_a_pause_counts_within_a_batch_for_requests_not_begun() -> None:
    made = world(10)

    def answer(request: Request) -> Answer:
        if request.id == 4:
            made.mailings.replace(RUNNING, replace(RUNNING, status=MailingStatus.PAUSED, version=4))
        made.clock.advance(SECOND)
        return ACCEPTED

    made.provider.answer = answer
    made.send(tickets(range(1, 11)))
    requested = {request.id for request in made.provider.requests}
    assert {1, 2, 3, 4} <= requested <= {1, 2, 3, 4, 5, 6}  # a cached mailing is at most two seconds old
    assert statuses(made) == {Status.SENT: len(requested), Status.DEFERRED: 10 - len(requested)}
    assert {row.reason for row in made.rows(RUNNING) if row.is_open} == {Reason.PAUSED}


def test_after_the_end_what_is_left_expires() -> None:
    made = world(3, replace(RUNNING, end_at=NOW + SECOND))
    made.send(tickets([1, 2, 3]))
    assert made.provider.requests == []
    assert statuses(made) == {Status.EXPIRED: 3}
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED


# --- Retries


def test_what_must_wait_has_a_delayed_ticket() -> None:
    made = world(3)
    made.provider.answer = lambda request: replace(BUSY, retry_after=request.id * timedelta(minutes=5))
    assert made.send(tickets([1, 2, 3])) == set()
    assert [(queued.ticket.message_ids, queued.delay) for queued in made.tickets.messages] == [
        ([1], timedelta(minutes=5)),
        ([2], timedelta(minutes=10)),
        ([3], timedelta(minutes=15)),
    ]
    made.provider.answer = ACCEPTED
    made.clock.advance(timedelta(minutes=10))
    made.send_waiting()
    assert [row.status for row in made.rows(RUNNING)] == [Status.SENT, Status.SENT, Status.DEFERRED]
    made.check(RUNNING)


def test_what_must_wait_longer_than_a_queue_holds_comes_back_by_its_due_time() -> None:
    made = world(1)
    wait = timedelta(hours=2)
    made.provider.answer = replace(BUSY, retry_after=wait)
    made.send(tickets([1]))
    assert made.tickets.messages == []
    assert made.rows(RUNNING)[0].due_at == NOW + wait
    made.provider.answer = ACCEPTED
    made.clock.advance(wait)
    made.dispatch()
    made.send_waiting()
    assert statuses(made) == {Status.SENT: 1}


def test_the_time_until_a_record_counts_as_waited() -> None:
    made = world(2)

    def answer(request: Request) -> Answer:
        if request.id == 2:
            made.clock.advance(4 * SECOND)
            return ACCEPTED
        return replace(BUSY, retry_after=5 * SECOND)

    made.provider.answer = answer
    made.send(tickets([1, 2]))
    assert [queued.delay for queued in made.tickets.messages] == [SECOND]


def test_a_wait_that_is_over_at_the_record_has_a_ticket_at_once() -> None:
    made = world(2)

    def answer(request: Request) -> Answer:
        if request.id == 2:
            made.clock.advance(4 * SECOND)
            return ACCEPTED
        return replace(BUSY, retry_after=3 * SECOND)

    made.provider.answer = answer
    made.send(tickets([1, 2]))
    assert [queued.delay for queued in made.tickets.messages] == [timedelta()]


def test_a_delayed_ticket_that_cannot_be_queued_is_no_failure_because_its_row_comes_due() -> None:
    made = world(2)
    made.provider.answer = BUSY
    made.hook = before("send_messages", fail(TransientError("no queue")))
    assert made.send(tickets([1, 2])) == set()
    assert made.tickets.messages == []
    made.provider.answer = ACCEPTED
    made.clock.advance(timedelta(minutes=3))
    made.dispatch()
    made.send_waiting()
    assert statuses(made) == {Status.SENT: 2}


# --- Time over


def test_when_the_time_is_over_what_is_not_begun_is_released_and_queued_again() -> None:
    made = world(30)

    def slow(_request: Request) -> Answer:
        made.clock.advance(2 * SECOND)
        return ACCEPTED

    made.provider.answer = slow
    assert made.send(tickets(range(1, 25), range(25, 31))) == set()
    begun = {request.id for request in made.provider.requests}
    assert 0 < len(begun) < 24
    assert statuses(made) == {Status.SENT: len(begun), Status.QUEUED: 30 - len(begun)}
    assert Counter(made.tickets.ids()) == Counter(set(range(1, 31)) - begun)
    assert {queued.delay for queued in made.tickets.messages} == {timedelta()}
    free = {(row.lease_until, row.leases) for row in made.rows(RUNNING) if row.is_open}
    assert free == {(UNLEASED, 0)}
    made.provider.answer = ACCEPTED
    made.send_waiting()
    assert statuses(made) == {Status.SENT: 30}
    assert made.provider.accepted_twice() == set()
    made.check(RUNNING)


def test_tickets_for_which_there_was_no_time_go_on_as_they_are() -> None:
    made = world(200)

    def slow(request: Request) -> Answer:
        if request.id == 1:
            made.clock.advance(20 * SECOND)
        return ACCEPTED

    made.provider.answer = slow
    batch = tickets(*(range(n, n + 20) for n in range(1, 201, 20)))
    assert made.send(batch) == set()
    again = [queued.ticket for queued in made.tickets.messages]
    assert all(ticket in again for ticket in batch[5:])
    assert Counter(made.tickets.ids()) == Counter(range(2, 201))
    leases = Counter(row.leases for row in made.rows(RUNNING))
    assert leases == {0: 200}


def test_called_when_the_time_is_over_already_all_tickets_go_on() -> None:
    made = world(3)
    batch = tickets([1, 2], [3])
    assert made.sender()(batch, NOW + 10 * SECOND) == set()
    assert [queued.ticket for queued in made.tickets.messages] == batch
    assert made.provider.requests == []


def test_tickets_that_cannot_be_handed_on_come_again_themselves() -> None:
    made = world(3)
    made.hook = before("send_messages", fail(TransientError("no queue")))
    assert made.sender()(tickets([1, 2], [3]), NOW) == {0, 1}
    assert made.tickets.ids() == []


def test_a_ticket_of_no_mailing_is_not_handed_on() -> None:
    made = world(1)
    del made.mailings.stored[RUNNING.id]
    with log_lines(logging.WARNING) as lines:
        assert made.sender()(tickets([1]), NOW) == set()
    assert made.tickets.messages == []
    (line,) = lines
    assert vars(line)["mailing_id"] == RUNNING.id


@pytest.mark.parametrize("method", ["release", "send_messages"])
def test_rows_that_cannot_be_given_back_are_reported(method: str) -> None:
    made = world(3)

    def slow(_request: Request) -> Answer:
        made.clock.advance(20 * SECOND)
        return ACCEPTED

    made.provider.answer = slow
    made.hook = before(method, fail(TransientError("throttled")))
    assert made.send(tickets([1], [2], [3])) == {1, 2}
    assert [row.status for row in made.rows(RUNNING)] == [Status.SENT, Status.QUEUED, Status.QUEUED]


def test_what_is_not_due_is_given_back_without_a_ticket() -> None:
    made = world(0)
    waiting = message(
        id=1,
        status=Status.DEFERRED,
        reason=Reason.RETRY,
        not_before=NOW + timedelta(minutes=1),
        due_at=NOW + timedelta(minutes=3),
        leases=0,
    )
    made.clients.create(client())
    add_rows(made, [waiting])
    assert made.send(tickets([1])) == set()
    assert replace(made.messages.stored[1], version=waiting.version) == waiting
    assert made.tickets.messages == []


# --- Crashes


@pytest.mark.parametrize("bundled", [False, True])
@pytest.mark.parametrize("moment", Moment)
def test_killed_at_any_write_everything_ends_once(moment: Moment, bundled: bool) -> None:  # noqa: FBT001 - a column
    """The tickets come back after the visibility timeout: only requests not yet recorded may be repeated."""
    for n in count(1):
        made = world(40)
        if bundled:
            as_planned(made)
        made.provider.answer = lambda request: BUSY if request.id % 7 == 0 else ACCEPTED
        batch = tickets(range(1, 25), range(25, 41))
        made.hook = KillSwitch(n, moment)
        try:
            made.send(batch)
        except Killed:
            made.hook = None
        else:
            break
        recorded = {row.id for row in made.rows(RUNNING) if row.status is Status.SENT}
        made.check(RUNNING)
        made.provider.answer = ACCEPTED
        made.clock.advance(VISIBILITY)
        made.send([*batch, *made.tickets.deliver_messages()])
        assert statuses(made) == {Status.SENT: 40}
        assert not made.provider.accepted_twice() & {id_ for id_ in recorded if id_ % 7}
        made.check(RUNNING)
        if made.mailings.stored[RUNNING.id].status is MailingStatus.RUNNING:
            made.dispatch()
        assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED
    assert n > 3  # lease, record, delayed ticket


def kill(_request: Request) -> Answer:
    raise Killed("in the middle of a request")


def test_a_dead_senders_rows_are_taken_over_and_the_takeover_is_counted() -> None:
    made = world(3)
    made.provider.answer = kill
    with pytest.raises(Killed):
        made.send(tickets([1, 2, 3]))
    assert {row.leases for row in made.rows(RUNNING)} == {1}
    made.provider.answer = ACCEPTED
    made.clock.advance(30 * SECOND)  # the lease still holds
    made.send(tickets([1, 2, 3]))
    assert statuses(made) == {Status.QUEUED: 3}
    made.clock.advance(VISIBILITY)
    made.provider.answer = kill
    with pytest.raises(Killed):
        made.send(tickets([1, 2, 3]))
    assert {row.leases for row in made.rows(RUNNING)} == {2}
    made.clock.advance(VISIBILITY)
    made.provider.answer = ACCEPTED
    made.send(tickets([1, 2, 3]))
    assert statuses(made) == {Status.SENT: 3}


def test_after_five_takeovers_a_message_has_failed() -> None:
    made = world(1)
    made.provider.answer = kill
    for _ in range(5):
        with pytest.raises(Killed):
            made.send(tickets([1]))
        made.clock.advance(VISIBILITY)
    assert made.send(tickets([1])) == set()
    (row,) = made.rows(RUNNING)
    assert (row.status, row.reason) == (Status.FAILED, Reason.CRASH)
    assert len(made.provider.requests) == 5
    made.check(RUNNING)


def test_an_outcome_in_between_makes_the_takeovers_count_anew() -> None:
    made = world(1)
    for answer in (kill, kill, kill, BUSY, kill, kill, kill, ACCEPTED):
        made.provider.answer = answer
        try:
            made.send(tickets([1]))
        except Killed:
            assert answer is kill
        made.clock.advance(VISIBILITY)
    assert statuses(made) == {Status.SENT: 1}


# --- A lease that was lost


def losing_leases(made: World, *, to: str = "another's") -> Hook:
    """Make a hook: before outcomes are recorded, another sender has taken all rows over."""

    def take_over() -> None:
        for row in made.rows(RUNNING):
            made.messages.stored[row.id] = replace(row, version=to, leases=row.leases + 1)

    return before("record", take_over)


def test_sent_is_recorded_although_the_lease_is_lost() -> None:
    made = world(3)
    made.hook = losing_leases(made)
    assert made.send(tickets([1, 2, 3])) == set()
    assert statuses(made) == {Status.SENT: 3}
    made.check(RUNNING)


@pytest.mark.parametrize("answer", [BUSY, REFUSED, TIMEOUT])
def test_any_other_outcome_is_dropped_when_the_lease_is_lost(answer: Answer) -> None:
    made = world(3)
    made.provider.answer = answer
    made.hook = losing_leases(made)
    assert made.send(tickets([1, 2, 3])) == set()
    assert statuses(made) == {Status.QUEUED: 3}
    assert {(row.version, row.attempts) for row in made.rows(RUNNING)} == {("another's", 0)}
    assert made.tickets.messages == []  # whoever holds the rows goes on with them
    made.check(RUNNING)


# --- Faults


def test_ids_that_do_not_exist_are_dropped_with_a_word_and_the_others_go_on() -> None:
    made = world(2)
    with log_lines(logging.WARNING) as lines:
        assert made.send(tickets([1, 77, 2, 66])) == set()
    assert statuses(made) == {Status.SENT: 2}
    (line,) = [line for line in lines if line.levelname == "WARNING"]
    assert line.message == "rows do not exist: dropped"
    assert (vars(line)["message_ids"], vars(line)["mailing_ids"]) == ([66, 77], [RUNNING.id])


def test_rows_in_other_hands_are_left_to_them() -> None:
    made = world(3)
    made.messages.stored[2] = held = replace(made.messages.stored[2], lease_until=NOW, leases=1)
    with log_lines() as lines:
        assert made.send(tickets([1, 2, 3])) == set()
    assert made.messages.stored[2] == held
    assert sorted(request.id for request in made.provider.requests) == [1, 3]
    (line,) = [line for line in lines if line.message == "rows ended or in other hands"]
    assert vars(line)["message_ids"] == [2]


def test_a_fault_in_one_row_fails_its_ticket_alone() -> None:
    made = world(9)
    made.provider.answer = failing_for({5})
    with log_lines() as lines:
        assert made.send(tickets([1, 2, 3], [4, 5, 6], [7, 8, 9])) == {1}
    assert statuses(made) == {Status.SENT: 8, Status.QUEUED: 1}
    made.check(RUNNING)
    (line,) = [line for line in lines if line.levelname == "ERROR"]
    assert (vars(line)["mailing_id"], vars(line)["message_id"]) == (RUNNING.id, 5)
    assert line.exc_info
    made.clock.advance(VISIBILITY)
    made.provider.answer = ACCEPTED
    assert made.send(tickets([4, 5, 6])) == set()
    assert statuses(made) == {Status.SENT: 9}
    assert made.provider.accepted_twice() == {5}


def test_rows_that_cannot_be_leased_fail_their_tickets_and_the_others_go_on() -> None:
    made = world(120)
    made.hook = before("lease", fail(TransientError("throttled")))
    assert made.send(tickets(*(range(n, n + 24) for n in range(1, 121, 24)))) == {0, 1, 2, 3}
    assert sorted(request.id for request in made.provider.requests) == list(range(97, 121))
    made.check(RUNNING)


def test_an_unexpected_error_at_the_lease_does_not_lose_what_was_accepted_before_it() -> None:
    made = world(240)
    leases = 0

    def fail_second(moment: Moment, name: str) -> None:
        nonlocal leases
        leases += (moment, name) == (Moment.BEFORE, "lease")
        if leases == 2:
            leases += 1
            raise RuntimeError("a fault of ours")

    made.hook = fail_second
    assert made.send(tickets(*(range(n, n + 24) for n in range(1, 241, 24)))) == {4, 5, 6, 7}
    sent = {row.id for row in made.rows(RUNNING) if row.status is Status.SENT}
    assert sent == {request.id for request in made.provider.requests} == {*range(1, 97), *range(193, 241)}


def test_outcomes_that_cannot_be_recorded_in_time_fail_their_tickets() -> None:
    made = world(6)

    def throttled(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "record"):
            made.clock.advance(timedelta(minutes=1))
            raise TransientError("throttled")

    made.hook = throttled
    assert made.send(tickets([1, 2, 3], [4, 5, 6])) == {0, 1}
    assert statuses(made) == {Status.QUEUED: 6}
    made.check(RUNNING)


def test_outcomes_that_cannot_be_recorded_at_first_are_recorded_later_and_not_asked_for_again() -> None:
    made = world(6)
    made.hook = before("record", fail(TransientError("throttled")))
    assert made.send(tickets([1, 2, 3], [4, 5, 6])) == set()
    assert statuses(made) == {Status.SENT: 6}
    assert sorted(request.id for request in made.provider.requests) == [1, 2, 3, 4, 5, 6]
    made.check(RUNNING)


def test_outcomes_of_one_mailing_that_cannot_be_recorded_do_not_stop_those_of_another() -> None:
    other = replace(RUNNING, id=ulid(200))
    made = world(3)
    made.mailings.create(other)
    add_rows(made, (message(id=100 + n, client_id=ulid(n), mailing_id=other.id) for n in range(1, 4)))
    made.hook = before("record", fail(RuntimeError("a fault of ours")))
    assert made.send([*tickets([1, 2, 3]), *tickets([101, 102, 103], of=other)]) == {0}
    assert statuses(made) == {Status.QUEUED: 3}
    assert statuses(made, other) == {Status.SENT: 3}


def test_a_mailing_that_cannot_be_looked_at_is_left_to_the_dispatcher() -> None:
    made = world(2)
    made.hook = before("replace", fail(TransientError("throttled")))
    assert made.send(tickets([1, 2])) == set()
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.RUNNING
    made.dispatch()
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED


# --- Recording while others fly


def test_finished_answers_are_recorded_within_a_second_although_one_call_hangs() -> None:
    made = world(5, clock=WallClock())
    recorded = threading.Event()
    hung = []

    def answer(request: Request) -> Answer:
        if request.id == 3:
            hung.append(recorded.wait(8))
        return ACCEPTED

    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "record"):
            recorded.set()

    made.provider.answer = answer
    made.hook = hook
    started = made.clock()
    with ThreadPoolExecutor(5) as threads:
        assert made.send(tickets(range(1, 6)), threads) == set()
    assert hung == [True]
    assert made.clock() - started < 4 * SECOND
    assert statuses(made) == {Status.SENT: 5}
    made.check(RUNNING)


def test_four_tickets_are_recorded_at_once_and_not_only_at_the_end() -> None:
    made = world(240)
    recorded: list[int] = []

    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "record"):
            recorded.append(statuses(made)[Status.SENT] - sum(recorded))

    made.hook = hook
    made.send(tickets(*(range(n, n + 24) for n in range(1, 241, 24))))
    assert recorded == [96, 96, 48]


def test_whoever_records_is_not_woken_by_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, take = [0], _Results.take

    def counted(results: _Results, enough: int, most: int, seconds: float | None) -> list[_Result]:
        waits[0] += 1
        return take(results, enough, most, seconds)

    def answer(_: Request) -> Answer:
        threading.Event().wait(0.005)
        return ACCEPTED

    monkeypatch.setattr(_Results, "take", counted)
    made = world(240, clock=WallClock())
    made.provider.answer = answer
    with ThreadPoolExecutor(8) as threads:
        assert made.send(tickets(*(range(n, n + 24) for n in range(1, 241, 24))), threads) == set()
    assert statuses(made) == {Status.SENT: 240}
    assert waits[0] <= 24


def test_of_each_request_that_is_recorded_there_is_a_line_before() -> None:
    stream, ids = io.StringIO(), set[int]()

    def read() -> None:
        told = map(json.loads, stream.getvalue().splitlines())
        ids.update(line["message_id"] for line in told if line["message"] == "message requested")

    made = world(24)
    made.hook = before("record", read)
    stdout = observability.lines.setStream(stream)
    try:
        made.send(tickets(range(1, 25)))
    finally:
        observability.lines.setStream(stdout or sys.stdout)
    assert ids == set(range(1, 25))


class BrokenPipe(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_what_was_sent_is_recorded_although_no_line_can_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    made = world(24)
    stdout = observability.lines.setStream(BrokenPipe())
    try:
        assert made.send(tickets(range(1, 25))) == set()
    finally:
        observability.lines.setStream(stdout or sys.stdout)
    assert statuses(made) == {Status.SENT: 24}
    assert "BrokenPipeError" in capsys.readouterr().err


def test_the_senders_clock_is_the_worlds() -> None:
    # The bound of a run that the tests above lean on: 27 s, of which the last request may take 10.
    assert timedelta(seconds=27) == RUN_TIME


# --- What a run counts


def test_a_run_adds_what_it_counted_in_one_write() -> None:
    made = world(60)
    made.provider.answer = lambda request: BUSY if request.id <= 3 else ACCEPTED
    made.send(tickets(range(1, 25), range(25, 49), range(49, 61)))
    traffic = made.figures.stored.traffic
    assert made.figures.writes == 1
    assert (traffic.answers_by_kind["accepted"], traffic.answers_by_kind["busy"]) == (57, 3)
    assert (traffic.attempts, sum(traffic.calls.values()), traffic.put_offs["retry"]) == (60, 60, 3)


def test_figures_that_cannot_be_written_fail_no_run() -> None:
    made = world(30)
    made.figures.error = TransientError("throttled")
    assert made.send(tickets(range(1, 25))) == set()
    assert statuses(made) == {Status.SENT: 24, Status.QUEUED: 6}
    made.figures.error = None
    assert made.send(tickets(range(25, 31))) == set()
    assert made.figures.stored.traffic.attempts == 30


def test_a_run_whose_time_is_over_leaves_its_figures_to_the_next() -> None:
    made = world(30)
    made.sender()(tickets(range(1, 25)), made.clock())
    made.tickets.messages.clear()
    assert made.figures.writes == 0
    made.tally.unreadable(Source.QUEUES)
    made.send(tickets(range(25, 31)))
    assert made.figures.stored.counts["scrape_error.queues"] == 1
