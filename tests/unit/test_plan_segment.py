import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.client import Client
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message, Status, message_id
from chalicelib.domain.tickets import SegmentTicket
from chalicelib.errors import TransientError
from chalicelib.services.plan_segment import READ_LIMIT, ROWS_PER_PAGE
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment
from tests.log_lines import log_lines
from tests.world import RUN_TIME, World, clients, clients_of_one_shard

SCHEDULED = mailing()
LATER = timedelta(minutes=8)  # when a segment that nobody goes on with is due


def started(some: Iterable[Client], of: Mailing = SCHEDULED, *, segments: int = 3) -> World:
    made = World(plan_segments=segments)
    made.add_clients(some)
    made.mailings.create(of)
    made.start(of.id)
    return made


def ticket_of(made: World, number: int = 0) -> SegmentTicket:
    return made.tickets.segments[number]


def mailing_of(made: World) -> Mailing:
    found = made.mailings.get(SCHEDULED.id)
    assert found is not None
    return found


# --- Rows and tickets


def test_each_client_has_one_row_and_each_row_one_ticket() -> None:
    made = started(clients(60))
    made.plan_waiting()
    rows = made.rows(SCHEDULED)
    assert [row.client_id for row in rows] == [client.id for client in clients(60)]
    assert Counter(made.tickets.ids()) == Counter(row.id for row in rows)
    assert made.messages.counts[SCHEDULED.id] == {"queued": 60}


def test_a_row_says_all_that_its_way_needs() -> None:
    made = started(clients(1))
    made.clock.advance(timedelta(seconds=5))
    made.plan_waiting()
    (row,) = made.rows(SCHEDULED)
    id_ = message_id(SCHEDULED.id, ulid(1))
    assert row == Message(
        id=id_,
        mailing_id=SCHEDULED.id,
        client_id=ulid(1),
        mailing_shard=f"{SCHEDULED.id}#{id_ % 64:02d}",
        status=Status.QUEUED,
        created_at=NOW + timedelta(seconds=5),
        version=row.version,
        due_at=NOW + timedelta(minutes=15, seconds=5),
        lease_until=NOW + timedelta(minutes=15, seconds=5),
    )
    assert row.version


def test_only_those_whom_the_filter_means_have_rows() -> None:
    of = replace(SCHEDULED, filter=AudienceFilter(("916",), ("vip",)))
    made = started(clients(5), of)
    made.add_clients(clients(2, first=10, tag="vip"))
    made.add_clients(clients(2, first=20, tag="vip", operator_code="925"))
    made.plan_waiting()
    assert [row.client_id for row in made.rows(of)] == [ulid(10), ulid(11)]


def test_tickets_hold_no_more_than_24_ids_and_are_not_delayed() -> None:
    made = started(clients(60), segments=1)
    made.plan_waiting()
    assert [len(queued.ticket.message_ids) for queued in made.tickets.messages] == [24, 24, 12]
    assert {queued.delay for queued in made.tickets.messages} == {timedelta()}


def test_where_another_pair_has_the_id_the_ticket_names_the_id_that_was_taken_instead() -> None:
    made = started(clients(1))
    taken = message(id=message_id(SCHEDULED.id, ulid(1)), mailing_id="another")
    made.messages.add(taken)
    made.plan_waiting()
    (row,) = made.rows(SCHEDULED)
    assert row.id == message_id(SCHEDULED.id, ulid(1), 1)
    assert made.tickets.ids() == [row.id]
    assert made.messages.stored[taken.id] == taken


# --- Cursor and end


def test_the_last_segment_done_notes_that_the_mailing_is_planned() -> None:
    made = started(clients(60))
    first, second, third = made.tickets.deliver_segments()
    stop_at = made.clock() + RUN_TIME
    made.plan_segment()(first, stop_at)
    made.plan_segment()(third, stop_at)
    assert mailing_of(made).planned_at is None
    made.plan_segment()(second, stop_at)
    assert mailing_of(made).planned_at == made.clock()
    assert all(segment.done for segment in made.segments.of_mailing(SCHEDULED.id))


def test_a_page_is_full_before_it_is_planned_and_a_segment_is_read_to_its_end() -> None:
    some = clients_of_one_shard(READ_LIMIT + 20)
    made = started(some, segments=1)
    planned: list[int] = []
    made.hook = noting_due_at(made, planned)
    made.plan_waiting()
    assert [row.client_id for row in made.rows(SCHEDULED)] == [client.id for client in some]
    first, second = planned
    assert ROWS_PER_PAGE <= first == READ_LIMIT
    assert first + second == READ_LIMIT + 20


def noting_due_at(made: World, planned: list[int]) -> Hook:
    """Note how many rows there were more with each page, and see that its cursor was saved behind it."""

    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "save"):
            rows = made.rows(SCHEDULED)
            assert sorted(made.tickets.ids()) == sorted(row.id for row in rows)
            planned.append(len(rows) - sum(planned))

    return hook


def test_when_the_time_is_over_the_segment_hands_itself_on_from_its_cursor() -> None:
    some = clients_of_one_shard(READ_LIMIT + 20)
    made = started(some, segments=1)
    (ticket,) = made.tickets.deliver_segments()
    made.hook = at_save(lambda: made.clock.advance(RUN_TIME))
    made.plan_segment()(ticket, made.clock() + RUN_TIME)
    assert made.tickets.segments == [ticket]
    assert len(made.rows(SCHEDULED)) == READ_LIMIT
    segment = made.segments.get(SCHEDULED.id, ticket.segment)
    assert segment is not None
    assert segment.cursor_after == some[READ_LIMIT - 1].id
    assert segment.due_at == NOW + timedelta(minutes=7)
    made.hook = None
    made.plan_waiting()
    assert Counter(made.tickets.ids()) == Counter(row.id for row in made.rows(SCHEDULED))
    assert len(made.rows(SCHEDULED)) == READ_LIMIT + 20


def at_save(change: Callable[[], None]) -> Hook:
    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "save"):
            change()

    return hook


def test_a_segment_whose_time_is_over_before_it_begins_plans_nothing() -> None:
    made = started(clients(60))
    ticket = made.tickets.deliver_segments()[0]
    made.plan_segment()(ticket, made.clock())
    assert made.rows(SCHEDULED) == []
    assert made.tickets.segments == [ticket]


@pytest.mark.parametrize("status", [MailingStatus.CANCELLED, MailingStatus.DELETED])
def test_a_mailing_that_was_stopped_is_not_planned_on(status: MailingStatus) -> None:
    made = started(clients(60))
    of = mailing_of(made)
    made.mailings.replace(of, replace(of, status=status, version=of.version + 1))
    made.plan_waiting()
    assert made.rows(SCHEDULED) == []
    assert made.tickets.messages == []
    assert all(segment.done for segment in made.segments.of_mailing(SCHEDULED.id))
    assert mailing_of(made).status is status


def test_a_paused_mailing_is_planned_on() -> None:
    made = started(clients(3))
    of = mailing_of(made)
    made.mailings.replace(of, replace(of, status=MailingStatus.PAUSED, version=of.version + 1))
    made.plan_waiting()
    assert len(made.rows(SCHEDULED)) == 3


@pytest.mark.parametrize(("mailing_id", "segment"), [("none", "plan#00"), (SCHEDULED.id, "plan#99")])
def test_a_ticket_of_no_segment_is_dropped_with_a_word(mailing_id: str, segment: str) -> None:
    made = started(clients(60))
    with log_lines(logging.WARNING) as lines:
        made.plan_segment()(SegmentTicket(v=1, mailing_id=mailing_id, segment=segment), made.clock() + RUN_TIME)
    assert made.rows(SCHEDULED) == []
    (line,) = lines
    assert line.message == "plan ticket dropped: there is no such segment"
    assert (vars(line)["mailing_id"], vars(line)["segment"]) == (mailing_id, segment)


def test_a_segment_of_no_mailing_is_done_without_work() -> None:
    made = started(clients(3), segments=1)
    del made.mailings.stored[SCHEDULED.id]
    made.plan_waiting()
    assert made.rows(SCHEDULED) == []
    assert all(segment.done for segment in made.segments.of_mailing(SCHEDULED.id))


def test_a_page_is_planned_only_if_the_mailing_is_still_wanted_by_then() -> None:
    made = started(clients_of_one_shard(READ_LIMIT + 20), segments=1)

    def cancel() -> None:
        if mailing_of(made).status is MailingStatus.RUNNING:
            made.hook = None
            made.control().cancel(SCHEDULED.id)

    made.hook = at_save(cancel)
    made.plan_waiting()
    assert len(made.rows(SCHEDULED)) == READ_LIMIT


# --- Again and again


def test_planned_again_nothing_changes() -> None:
    made = started(clients(60))
    tickets = list(made.tickets.segments)
    made.plan_waiting()
    before, counts = dict(made.messages.stored), made.messages.counts[SCHEDULED.id].copy()
    made.tickets.deliver_messages()
    for ticket in tickets:
        made.plan_segment()(ticket, made.clock() + RUN_TIME)
    assert made.messages.stored == before
    assert made.messages.counts[SCHEDULED.id] == counts
    assert made.tickets.messages == []


def test_planned_again_from_the_start_rows_that_were_sent_have_no_ticket() -> None:
    made = started(clients(10), segments=1)
    fresh = made.segments.get(SCHEDULED.id, "plan#00")
    assert fresh is not None
    ticket = ticket_of(made)
    made.plan_waiting()
    first, *others = made.tickets.deliver_messages()
    assert not others
    made.send([first.model_copy(update={"message_ids": first.message_ids[:4]})])
    made.segments.stored[SCHEDULED.id, "plan#00"] = fresh
    made.plan_segment()(ticket, made.clock() + RUN_TIME)
    assert sorted(made.tickets.ids()) == sorted(first.message_ids[4:])
    made.check(SCHEDULED)
    assert made.messages.counts[SCHEDULED.id]["sent"] == 4


def test_a_slower_planner_of_the_same_segment_does_not_open_it_again() -> None:
    made = started(clients(5), segments=1)
    ticket = ticket_of(made)

    def overtake(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "plan"):
            made.hook = None
            made.plan_segment()(ticket, made.clock() + RUN_TIME)

    made.hook = overtake
    made.plan_waiting()
    assert len(made.rows(SCHEDULED)) == 5
    assert all(segment.done for segment in made.segments.of_mailing(SCHEDULED.id))
    made.check(SCHEDULED)


@pytest.mark.parametrize("moment", Moment)
def test_killed_at_any_write_each_client_gets_one_row_and_each_row_a_ticket(moment: Moment) -> None:
    some = clients_of_one_shard(READ_LIMIT + 2)
    for n in count(1):
        made = started(some, segments=2)
        made.hook = KillSwitch(n, moment)
        try:
            made.plan_waiting()
        except Killed:
            made.hook = None
        else:
            break
        made.clock.advance(LATER)
        made.dispatch()
        made.plan_waiting()
        rows = made.rows(SCHEDULED)
        assert len(rows) == READ_LIMIT + 2
        assert set(made.tickets.ids()) == {row.id for row in rows}
        assert made.messages.counts[SCHEDULED.id] == {"queued": READ_LIMIT + 2}
        made.check(SCHEDULED)
        assert mailing_of(made).planned_at is not None
    # Rows, tickets and cursor of two pages; of the other segment the rows (none), tickets (none) and cursor; the end.
    assert n == 11


def test_killed_at_any_write_and_then_sent_nobody_gets_two_messages() -> None:
    for n in count(1):
        made = started(clients(30), segments=2)
        made.hook = KillSwitch(n, Moment.AFTER)
        try:
            made.plan_waiting()
        except Killed:
            made.hook = None
        else:
            break
        made.send_waiting()
        made.clock.advance(LATER)
        made.dispatch()
        made.plan_waiting()
        made.send_waiting()
        assert sorted(request.id for request in made.provider.requests) == sorted(
            row.id for row in made.rows(SCHEDULED)
        )
        assert mailing_of(made).status is MailingStatus.FINISHED
        made.check(SCHEDULED)
    assert n > 5


def test_rows_that_cannot_be_stored_are_an_error_and_the_cursor_stays() -> None:
    made = started(clients(5), segments=1)

    def fail(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "plan"):
            raise TransientError("throttled")

    made.hook = fail
    with pytest.raises(TransientError):
        made.plan_waiting()
    segment = made.segments.get(SCHEDULED.id, "plan#00")
    assert segment is not None
    assert (segment.cursor_part, segment.cursor_after, segment.done) == (0, None, False)
