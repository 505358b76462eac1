"""What senders do with messages while the provider is down, or has had enough."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.breaker import Breaker, BreakerState, Cause, opened, probing
from chalicelib.domain.mailing import Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.services.deliver_message import Undone
from tests.builders import NOW, client, mailing, message, ulid
from tests.fakes.executors import InlineExecutor
from tests.fakes.provider import ACCEPTED, BUSY, TIMEOUT, Request
from tests.log_lines import log_lines
from tests.world import BREAKER_POLICY, QUEUED_GRACE, World, clients

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
UNAUTHORIZED = Answer(AnswerKind.UNAUTHORIZED, "http_401", 401)
TOO_MANY = Answer(AnswerKind.BUSY, "http_429", 429, 30 * SECOND)
RUNNING = mailing(status=MailingStatus.RUNNING, planned_at=NOW, version=3)
FIRST_PROBE = NOW + 2 * SECOND
BACK = FIRST_PROBE + 2.5 * SECOND  # in the middle of the spread


def world(rows: int, of: Mailing = RUNNING, **parts: object) -> World:
    made = World(**parts)  # type: ignore[arg-type]
    made.add_clients(clients(rows))
    made.mailings.create(of)
    for n in range(1, rows + 1):
        made.messages.add(message(id=n, client_id=ulid(n), mailing_id=of.id))
    return made


def down(made: World, cause: Cause = Cause.OUTAGE) -> World:
    made.control_items.stored = opened(made.control_items.stored, cause, NOW, BREAKER_POLICY)
    return made


def tickets(*ids: range | list[int], of: Mailing = RUNNING) -> list[MessagesTicket]:
    return [MessagesTicket(v=1, mailing_id=of.id, message_ids=list(some)) for some in ids]


def row(made: World, number: int) -> Message:
    return made.messages.stored[number]


def states(made: World) -> Counter[tuple[Status, Reason | None]]:
    return Counter((each.status, each.reason) for each in made.rows(RUNNING))


# --- Tickets that find the breaker open


def test_tickets_go_back_for_after_the_next_probe_and_no_row_is_touched() -> None:
    made = down(world(72))
    before = dict(made.messages.stored)
    batch = tickets(range(1, 25), range(25, 49), range(49, 73))
    assert made.send(batch) == set()
    assert [queued.ticket for queued in made.tickets.messages] == batch
    assert {queued.visible_at for queued in made.tickets.messages} == {BACK}
    assert made.messages.stored == before
    assert made.provider.requests == []


def test_tickets_come_back_in_time_to_let_their_messages_expire() -> None:
    ending = replace(RUNNING, end_at=NOW + 3 * SECOND)
    made = down(world(2, ending))
    made.send(tickets([1, 2]))
    assert [queued.visible_at for queued in made.tickets.messages] == [ending.end_at]
    made.clock.now = ending.end_at
    made.control_items.stored = probing(made.control_items.stored, made.clock(), BREAKER_POLICY)
    made.send_waiting()
    assert states(made) == {(Status.EXPIRED, None): 2}


@pytest.mark.parametrize(
    ("of", "then"),
    [
        (replace(RUNNING, status=MailingStatus.PAUSED), (Status.DEFERRED, Reason.PAUSED)),
        (replace(RUNNING, status=MailingStatus.CANCELLED), (Status.CANCELLED, None)),
        (replace(RUNNING, end_at=NOW + SECOND), (Status.EXPIRED, None)),
    ],
)
def test_what_is_not_to_be_sent_at_all_does_not_wait_for_the_provider(
    of: Mailing, then: tuple[Status, Reason | None]
) -> None:
    made = down(world(3, of))
    assert made.send(tickets([1, 2, 3])) == set()
    assert states(made) == {then: 3}
    assert made.tickets.messages == []


def test_tickets_of_no_mailing_end_there() -> None:
    made = down(world(1))
    del made.mailings.stored[RUNNING.id]
    assert made.send(tickets([1])) == set()
    assert states(made) == {(Status.CANCELLED, None): 1}


# --- Opening


def test_an_outage_costs_some_requests_and_no_attempt_after_that() -> None:
    made = world(240)
    made.provider.answer = BUSY
    made.send(tickets(*(range(n, n + 24) for n in range(1, 241, 24))))
    assert len(made.provider.requests) == BREAKER_POLICY.failures
    assert states(made) == {
        (Status.DEFERRED, Reason.RETRY): 10,
        (Status.DEFERRED, Reason.OUTAGE): 86,
        (Status.QUEUED, None): 144,
    }
    held = row(made, 50)
    assert (held.attempts, held.not_before, held.due_at) == (0, BACK, BACK + 2 * MINUTE)
    assert sum(each.attempts for each in made.rows(RUNNING)) == BREAKER_POLICY.failures
    assert Counter(made.tickets.ids()) == Counter(range(1, 241))
    made.check(RUNNING)


def test_a_refused_token_stops_all_and_counts_as_no_attempt() -> None:
    made = world(24)
    made.provider.answer = UNAUTHORIZED
    made.send(tickets(range(1, 25)))
    assert len(made.provider.requests) == 1
    assert states(made) == {(Status.DEFERRED, Reason.OUTAGE): 24}
    assert {each.attempts for each in made.rows(RUNNING)} == {0}
    assert made.control_items.stored.cause is Cause.TOKEN


def test_a_429_puts_off_all_others_for_as_long_as_it_says() -> None:
    made = world(24)
    made.provider.answer = TOO_MANY
    made.send(tickets(range(1, 25)))
    assert len(made.provider.requests) == 1
    assert states(made) == {(Status.DEFERRED, Reason.RETRY): 1, (Status.DEFERRED, Reason.RATE): 23}
    assert row(made, 1).not_before == NOW + 30 * SECOND
    assert row(made, 24).not_before == NOW + 32.5 * SECOND
    made.provider.answer = ACCEPTED
    made.clock.advance(33 * SECOND)
    made.send_waiting()
    assert states(made) == {(Status.SENT, None): 24}
    assert sum(each.attempts for each in made.rows(RUNNING)) == 25


# --- Probing


def test_one_row_is_taken_to_probe_with_and_the_others_of_its_ticket_go_back() -> None:
    made = down(world(48))
    made.clock.now = FIRST_PROBE
    made.provider.answer = BUSY
    made.send(tickets(range(1, 25), range(25, 49)))
    assert [request.id for request in made.provider.requests] == [1]
    assert states(made) == {(Status.DEFERRED, Reason.OUTAGE): 1, (Status.QUEUED, None): 47}
    probe = row(made, 1)
    assert (probe.attempts, probe.last_error, probe.not_before) == (0, "http_503", FIRST_PROBE + 6.5 * SECOND)
    assert made.messages.counts[RUNNING.id]["error.http_503"] == 1
    assert Counter(made.tickets.ids()) == Counter(range(1, 49))


def test_a_probe_that_is_accepted_lets_all_others_follow() -> None:
    made = down(world(48))
    made.clock.now = FIRST_PROBE
    assert made.send(tickets(range(1, 25), range(25, 49))) == set()
    assert states(made) == {(Status.SENT, None): 48}
    assert made.control_items.stored == Breaker(changed_at=FIRST_PROBE, version=3)
    assert made.tickets.messages == []


def test_a_row_that_waited_out_the_outage_is_sent_by_a_ticket_that_comes_early() -> None:
    made = world(1)
    made.messages.stored[1] = replace(
        row(made, 1), status=Status.DEFERRED, reason=Reason.OUTAGE, not_before=NOW + MINUTE, lease_until=UNLEASED
    )
    made.send(tickets([1]))
    assert row(made, 1).status is Status.SENT


def test_a_probe_of_which_nobody_knows_whether_it_arrived_is_not_repeated_where_that_is_to_be_held() -> None:
    of = replace(RUNNING, on_uncertain=OnUncertain.HOLD)
    made = down(world(1, of))
    made.clock.now = FIRST_PROBE
    made.provider.answer = TIMEOUT
    made.send(tickets([1]))
    after = row(made, 1)
    assert (after.status, after.reason, after.attempts, after.uncertain) == (Status.FAILED, Reason.UNCERTAIN, 1, 1)
    assert made.control_items.stored.state is BreakerState.OPEN


def test_an_uncertain_probe_is_counted_as_uncertain_and_repeated() -> None:
    made = down(world(1))
    made.clock.now = FIRST_PROBE
    made.provider.answer = TIMEOUT
    made.send(tickets([1]))
    after = row(made, 1)
    assert (after.status, after.reason, after.attempts, after.uncertain) == (Status.DEFERRED, Reason.OUTAGE, 0, 1)
    made.check(RUNNING)


def probing_slowly(made: World, meanwhile: Callable[[], object]) -> Outcome | Undone:
    """Take row 1 to probe with, after a wait for its slot during which something happens."""
    made.clock.now = FIRST_PROBE

    def sleep(seconds: float) -> None:
        made.clock.advance(timedelta(seconds=seconds))
        if seconds:
            meanwhile()

    made.per_second, made.sleep = 1, sleep  # type: ignore[method-assign]
    deliver = made.deliver()
    assert deliver.gate.pace is not None
    assert deliver.gate.pace.wait(FIRST_PROBE)  # takes the slot that there is at once
    leased = replace(row(made, 1), lease_until=FIRST_PROBE + 30 * SECOND, leases=1)
    done = deliver(leased, client(id=ulid(1)), FIRST_PROBE, FIRST_PROBE + 17 * SECOND)
    assert made.provider.requests == []
    assert made.control_items.stored.state is BreakerState.OPEN
    assert made.control_items.stored.may_probe(made.clock())
    return done


def test_a_message_that_may_not_be_sent_any_more_leaves_the_probe_to_the_next() -> None:
    made = down(world(1))

    def cancel() -> None:
        made.mailings.stored[RUNNING.id] = replace(RUNNING, status=MailingStatus.CANCELLED)
        made.clock.advance(3 * SECOND)

    done = probing_slowly(made, cancel)
    assert isinstance(done, Outcome)
    assert done.after.status is Status.CANCELLED


def test_a_message_for_which_no_time_was_left_leaves_the_probe_to_the_next() -> None:
    made = down(world(1))
    assert probing_slowly(made, lambda: made.clock.advance(17 * SECOND)) is Undone.NOT_BEGUN


def test_a_message_whose_turn_comes_too_late_is_not_begun() -> None:
    made = world(1, per_second=0.1)
    deliver = made.deliver()
    assert deliver.gate.pace is not None
    assert deliver.gate.pace.wait(NOW)
    leased = replace(row(made, 1), lease_until=NOW + 20 * SECOND, leases=1)
    assert deliver(leased, client(id=ulid(1)), NOW, NOW + 17 * SECOND) is Undone.NOT_BEGUN
    assert made.clock() == NOW


def test_a_message_whose_turn_is_refused_waits_for_the_provider() -> None:
    made = world(1, at_once=2)
    deliver = made.deliver()
    assert made.shared_breaker().hold() is None
    with deliver.gate.run(NOW + MINUTE):
        down(made)
        made.per_second = 1
        paced = replace(deliver, gate=replace(deliver.gate, pace=made.gate().pace))
        assert paced.gate.pace is not None
        assert paced.gate.pace.wait(NOW)
        leased = replace(row(made, 1), lease_until=NOW + 30 * SECOND, leases=1)
        done = paced(leased, client(id=ulid(1)), NOW, NOW + 17 * SECOND)
    assert isinstance(done, Outcome)
    assert (done.after.reason, done.after.not_before) == (Reason.OUTAGE, BACK)
    assert made.provider.requests == []


# --- The dispatcher


def test_while_requests_are_held_back_no_more_tickets_are_made() -> None:
    made = down(world(3))
    made.clock.advance(QUEUED_GRACE + SECOND)
    made.control_items.stored = probing(made.control_items.stored, made.clock(), BREAKER_POLICY)
    made.dispatch()
    assert made.tickets.messages == []
    assert {each.due_at for each in made.rows(RUNNING)} == {made.clock() + QUEUED_GRACE}


def test_messages_whose_mailing_is_over_are_dispatched_all_the_same() -> None:
    ending = replace(RUNNING, end_at=NOW + 10 * MINUTE)
    made = down(world(3, ending))
    made.clock.advance(QUEUED_GRACE + SECOND)
    made.control_items.stored = probing(made.control_items.stored, made.clock(), BREAKER_POLICY)
    made.dispatch()
    made.send_waiting()
    assert states(made) == {(Status.EXPIRED, None): 3}


def test_tickets_that_go_round_with_a_delay_count_as_waiting_while_requests_are_held_back() -> None:
    made = down(world(3))
    for _ in range(101):
        made.tickets.send_messages(RUNNING, [([1], MINUTE)])
    made.clock.advance(QUEUED_GRACE + SECOND)
    made.control_items.stored = probing(made.control_items.stored, made.clock(), BREAKER_POLICY)
    made.tickets.messages = [replace(one, visible_at=made.clock() + MINUTE) for one in made.tickets.messages]
    made.dispatch()
    assert {each.due_at for each in made.rows(RUNNING)} == {message().due_at}


# --- Limits


def test_a_run_without_a_share_of_the_requests_in_flight_sends_its_tickets_on() -> None:
    made = world(48, at_once=1)
    made.control_items.taken = {"another": (1, NOW + MINUTE)}
    batch = tickets(range(1, 25), range(25, 49))
    assert made.send(batch) == set()
    assert [(queued.ticket, queued.delay) for queued in made.tickets.messages] == [
        (ticket, 2 * SECOND) for ticket in batch
    ]
    assert made.provider.requests == []
    assert states(made) == {(Status.QUEUED, None): 48}


def test_no_more_rows_are_leased_than_the_pace_allows_in_two_seconds() -> None:
    made = world(48, per_second=5)
    leased: list[int] = []

    def asked(_request: Request) -> Answer:
        leased.append(sum(each.lease_until not in {None, UNLEASED} for each in made.messages.stored.values()))
        return ACCEPTED

    made.provider.answer = asked
    assert made.send(tickets(range(1, 25), range(25, 49)), InlineExecutor()) == set()
    assert states(made) == {(Status.SENT, None): 48}
    assert max(leased) <= 20
    assert (made.clock() - NOW).total_seconds() == pytest.approx(47 / 5, abs=0.5)


def test_what_the_pace_leaves_no_time_for_goes_on_as_new_tickets() -> None:
    made = world(48, per_second=1)
    assert made.send(tickets(range(1, 25), range(25, 49)), InlineExecutor()) == set()
    sent = {each.id for each in made.rows(RUNNING) if each.status is Status.SENT}
    assert 10 <= len(sent) <= 18
    assert Counter(made.tickets.ids()) == Counter(set(range(1, 49)) - sent)
    assert {each.leases for each in made.rows(RUNNING)} == {0}
    made.check(RUNNING)


def test_what_is_held_back_is_told_once_per_row() -> None:
    made = world(3)
    made.provider.answer = UNAUTHORIZED
    with log_lines(logging.INFO) as lines:
        made.send(tickets([1, 2, 3]))
    told = [line for line in lines if line.message == "message not requested"]
    assert [(vars(line)["message_id"], vars(line)["reason"]) for line in told] == [(2, "outage"), (3, "outage")]
