import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import UNLEASED, Message, Reason, Status
from chalicelib.domain.segment import Segment
from chalicelib.domain.tickets import SegmentTicket
from chalicelib.errors import TransientError
from chalicelib.ports import DueMessage
from chalicelib.services.dispatch_due import NEARLY_EMPTY_TICKETS, PAGE
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.messages import DUE_SHARDS, FakeMessageRepository
from tests.fakes.watched import Killed, KillSwitch, Moment
from tests.log_lines import log_lines
from tests.world import QUEUED_GRACE, RUN_TIME, World

MINUTE = timedelta(minutes=1)
MS = timedelta(milliseconds=1)
RUNNING = mailing(status=MailingStatus.RUNNING, planned_at=NOW, start_at=NOW - timedelta(hours=1))


def world(*mailings: Mailing) -> World:
    made = World()
    for one in mailings or (RUNNING,):
        made.mailings.create(one)
    return made


def row(number: int, status: Status = Status.QUEUED, due_at: datetime = NOW, **changes: object) -> Message:
    reason = Reason.RETRY if status is Status.DEFERRED else None
    given: dict[str, object] = {"id": number, "client_id": ulid(number), "status": status, "reason": reason}
    return message(**given | {"due_at": due_at, "mailing_id": RUNNING.id} | changes)


def add_rows(made: World, *rows: Message) -> None:
    for one in rows:
        made.messages.add(one)


# --- Rows


@pytest.mark.parametrize(("status", "grace"), [(Status.QUEUED, QUEUED_GRACE), (Status.DEFERRED, timedelta(minutes=2))])
def test_a_row_that_is_due_gets_a_ticket_and_a_later_moment(status: Status, grace: timedelta) -> None:
    made = world()
    add_rows(made, row(1, status), row(2, status, NOW + MS))
    made.dispatch()
    assert made.tickets.ids() == [1]
    assert made.tickets.messages[0].delay == timedelta()
    moved = made.messages.stored[1]
    assert (moved.due_at, moved.status, moved.leases) == (NOW + grace, status, 0)
    assert made.messages.stored[2].due_at == NOW + MS
    made.check(RUNNING)


def test_a_row_is_not_dispatched_again_before_it_is_due_again() -> None:
    made = world()
    add_rows(made, row(1))
    made.dispatch()
    made.clock.advance(QUEUED_GRACE - MS)
    made.dispatch()
    assert made.tickets.ids() == [1]
    made.clock.advance(MS)
    made.dispatch()
    assert made.tickets.ids() == [1, 1]


def test_a_row_that_a_sender_holds_is_left_to_it() -> None:
    made = world()
    leased = row(1, lease_until=NOW + MS, leases=1)
    add_rows(made, leased)
    made.dispatch()
    assert made.tickets.ids() == []
    assert made.messages.stored[1] == leased


def test_a_row_whose_holder_is_dead_is_dispatched() -> None:
    made = world()
    add_rows(made, row(1, lease_until=NOW - MS, leases=1))
    made.dispatch()
    assert made.tickets.ids() == [1]
    assert made.messages.stored[1].leases == 1


def test_rows_of_all_shards_and_pages_are_dispatched_in_full_tickets_of_one_mailing_each() -> None:
    other = mailing(id=ulid(200), status=MailingStatus.RUNNING, express=True, planned_at=NOW)
    made = world(RUNNING, other)
    of_one_shard = [row(number * DUE_SHARDS, Status.DEFERRED) for number in range(1, PAGE + 11)]
    of_others = [row(number, Status.DEFERRED, mailing_id=other.id) for number in (1, 2, 3)]
    add_rows(made, *of_one_shard, *of_others)
    made.dispatch()
    assert sorted(made.tickets.ids()) == sorted(one.id for one in of_one_shard + of_others)
    for queued in made.tickets.messages:
        rows = [made.messages.stored[id_] for id_ in queued.ticket.message_ids]
        assert {one.mailing_id for one in rows} == {queued.ticket.mailing_id}
        assert queued.express == (queued.ticket.mailing_id == other.id)
    assert len(made.tickets.messages) == PAGE // 24 + 1 + 3  # full ones, the last ones of the shard, and the other's


@pytest.mark.parametrize(("waiting", "dispatched"), [(NEARLY_EMPTY_TICKETS, [1, 2]), (NEARLY_EMPTY_TICKETS + 1, [2])])
def test_queued_rows_wait_while_their_queue_is_long_but_deferred_ones_do_not(
    waiting: int, dispatched: list[int]
) -> None:
    made = world()
    # What is dispatched before the backlog is counted counts as well: here one ticket, for row 2.
    made.tickets.send_messages(RUNNING, [([1000 + number], timedelta()) for number in range(waiting - 1)])
    add_rows(made, row(1, Status.QUEUED), row(2, Status.DEFERRED))
    made.dispatch()
    assert sorted(id_ for id_ in made.tickets.ids() if id_ < 1000) == dispatched


def test_a_row_that_another_dispatcher_moved_has_one_ticket() -> None:
    made = world()
    add_rows(made, row(1))

    def overtake(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "move_due"):
            made.hook = None
            made.dispatch()

    made.hook = overtake
    made.dispatch()
    assert made.tickets.ids() == [1]


def test_killed_between_moving_and_queueing_a_row_comes_due_once_more() -> None:
    made = world()
    add_rows(made, row(1, Status.DEFERRED))
    made.hook = KillSwitch(1, Moment.AFTER)
    with pytest.raises(Killed):
        made.dispatch()
    assert made.tickets.ids() == []
    made.hook = None
    made.clock.advance(timedelta(minutes=2))
    made.dispatch()
    assert made.tickets.ids() == [1]


def test_when_the_time_is_over_the_next_minute_goes_on() -> None:
    made = world()
    add_rows(made, row(1), row(2, Status.DEFERRED))
    made.dispatcher()(NOW)
    assert made.tickets.ids() == []
    made.dispatch()
    assert sorted(made.tickets.ids()) == [1, 2]


def test_rows_of_no_mailing_are_named_in_the_log() -> None:
    made = world()
    add_rows(made, row(1, mailing_id="none"), row(2))
    with log_lines(logging.ERROR) as lines:
        made.dispatch()
    assert made.tickets.ids() == [2]
    (line,) = lines
    assert (vars(line)["mailing_id"], vars(line)["message_ids"]) == ("none", [1])


# --- Segments


def segment(name: str, due_at: datetime | None) -> Segment:
    return Segment(RUNNING.id, name, ("part",), cursor_after="x", due_at=due_at)


def test_a_segment_with_which_nobody_goes_on_gets_a_ticket() -> None:
    made = world()
    made.segments.stored = {
        (RUNNING.id, one.segment): one
        for one in (segment("plan#00", NOW), segment("plan#01", NOW + MS), segment("plan#02", None))
    }
    made.dispatch()
    assert made.tickets.segments == [SegmentTicket(v=1, mailing_id=RUNNING.id, segment="plan#00")]
    assert made.segments.get(RUNNING.id, "plan#00") == segment("plan#00", NOW + timedelta(minutes=7))
    assert made.segments.get(RUNNING.id, "plan#01") == segment("plan#01", NOW + MS)


class StaleIndex:
    """An index of segments that runs behind the table."""

    def __init__(self, made: World, listed: list[tuple[str, str]]) -> None:
        self._segments = made.segments
        self._listed = listed

    def __getattr__(self, name: str) -> object:
        return getattr(self._segments, name)

    def due(self, _before: datetime, _limit: int) -> list[tuple[str, str]]:
        return self._listed


def test_a_segment_that_the_index_still_lists_but_is_done_or_gone_is_left_alone() -> None:
    made = world()
    done = segment("plan#00", None)
    made.segments.stored = {(RUNNING.id, "plan#00"): done}
    stale = StaleIndex(made, [(RUNNING.id, "plan#00"), (RUNNING.id, "plan#01")])
    replace(made.dispatcher(), segments=stale)(NOW + RUN_TIME)  # type: ignore[arg-type]
    assert made.tickets.segments == []
    assert made.segments.stored == {(RUNNING.id, "plan#00"): done}


# --- Mailings


def test_a_mailing_that_is_due_is_started() -> None:
    late = mailing(id=ulid(200), start_at=NOW - MINUTE)
    made = world(late)
    made.dispatch()
    assert made.scheduler.started == [late.id]


def test_a_mailing_that_nobody_finished_is_finished() -> None:
    planned = replace(RUNNING, id=ulid(200))
    not_planned = replace(RUNNING, id=ulid(201), planned_at=None)
    open_ = replace(RUNNING, id=ulid(202))
    paused = replace(RUNNING, id=ulid(203), status=MailingStatus.PAUSED)
    made = world(planned, not_planned, open_, paused)
    add_rows(made, row(1, Status.SENT, mailing_id=planned.id), row(2, mailing_id=open_.id, due_at=NOW + MINUTE))
    made.dispatch()
    assert [made.mailings.stored[one.id].status for one in (planned, not_planned, open_, paused)] == [
        MailingStatus.FINISHED,
        MailingStatus.FINISHED,
        MailingStatus.RUNNING,
        MailingStatus.FINISHED,
    ]


def test_mailings_that_run_are_looked_at_beyond_one_page() -> None:
    some = [replace(RUNNING, id=ulid(1000 + number)) for number in range(PAGE + 1)]
    made = world(*some)
    made.dispatch()
    assert {one.status for one in made.mailings.stored.values()} == {MailingStatus.FINISHED}


def test_what_cannot_be_looked_at_holds_nothing_else_back() -> None:
    class Partly(FakeMessageRepository):
        def due(self, status: Status, shard: int, before: datetime, limit: int) -> Sequence[DueMessage]:
            if shard == 0:
                raise TransientError("throttled")
            return super().due(status, shard, before, limit)

    made = world()
    made.messages = Partly()
    add_rows(made, row(DUE_SHARDS), row(DUE_SHARDS + 1), row(2, Status.DEFERRED))
    with log_lines() as lines, pytest.raises(TransientError, match="in 2 parts, the first: throttled"):
        made.dispatch()
    assert sorted(made.tickets.ids()) == [2, DUE_SHARDS + 1]
    (line,) = [line for line in lines if line.message == "dispatched"]
    assert [vars(line)[name] for name in ("deferred", "queued", "mailings_running")] == [1, 1, 1]


def test_queued_rows_wait_while_nobody_can_tell_how_long_their_queue_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    add_rows(made, row(1), row(2, Status.DEFERRED))

    def backlog(**_options: bool) -> int:
        raise TransientError("throttled")

    monkeypatch.setattr(made.tickets, "backlog", backlog)
    with pytest.raises(TransientError):
        made.dispatch()
    assert made.tickets.ids() == [2]


def test_a_dispatched_minute_leaves_one_line_of_counts() -> None:
    made = world(RUNNING, mailing(id=ulid(200)))
    add_rows(made, row(1), row(2, Status.DEFERRED), row(3, Status.DEFERRED))
    made.segments.stored = {(RUNNING.id, "plan#00"): segment("plan#00", NOW)}
    with log_lines() as lines:
        made.dispatch()
    (line,) = [line for line in lines if line.message == "dispatched"]
    names = ("mailings_started", "mailings_running", "segments", "deferred", "queued")
    assert [vars(line)[name] for name in names] == [1, 1, 1, 2, 1]


def test_free_rows_are_those_of_the_builder() -> None:
    assert row(1).lease_until == UNLEASED
