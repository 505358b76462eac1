from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Reason, Status
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import ConflictError, NotFoundError, StaleError, TransientError
from chalicelib.services.control_mailings import ControlMailings
from chalicelib.services.optimistic import TRIES
from chalicelib.services.order_sweep import SECOND_LOOK, OrderSweep
from chalicelib.services.plan_segment import SEGMENT_GRACE
from tests.builders import NOW, mailing, ulid
from tests.fakes.clock import FakeClock
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.segments import FakeSegmentRepository
from tests.fakes.watched import failing, watched
from tests.world import World, clients

ID = ulid(100)
HOUR = timedelta(hours=1)
CONTROLS = ("start", "hold", "pause", "resume", "cancel", "retry")

# What each control makes of each state; everything else is refused.
ALLOWED = {
    ("start", MailingStatus.DRAFT): MailingStatus.SCHEDULED,
    ("hold", MailingStatus.SCHEDULED): MailingStatus.DRAFT,
    ("pause", MailingStatus.RUNNING): MailingStatus.PAUSED,
    ("resume", MailingStatus.PAUSED): MailingStatus.RUNNING,
    ("cancel", MailingStatus.DRAFT): MailingStatus.CANCELLED,
    ("cancel", MailingStatus.SCHEDULED): MailingStatus.CANCELLED,
    ("cancel", MailingStatus.RUNNING): MailingStatus.CANCELLED,
    ("cancel", MailingStatus.PAUSED): MailingStatus.CANCELLED,
    ("retry", MailingStatus.RUNNING): MailingStatus.RUNNING,
    ("retry", MailingStatus.FINISHED): MailingStatus.RUNNING,
}
PAIRS = [(control, status) for control in CONTROLS for status in MailingStatus if status is not MailingStatus.DELETED]
REFUSED = [pair for pair in PAIRS if pair not in ALLOWED]
SWEPT = [
    (control, status)
    for control, status in ALLOWED
    if status in {MailingStatus.RUNNING, MailingStatus.PAUSED, MailingStatus.FINISHED}
]


def in_state(status: MailingStatus, **changes: object) -> Mailing:
    """Make a mailing as it is in a state: with segments once it has started, with its times."""
    made = mailing(status=status, start_at=NOW - HOUR, created_at=NOW - 2 * HOUR, updated_at=NOW - HOUR, version=5)
    if status in {MailingStatus.RUNNING, MailingStatus.PAUSED, MailingStatus.FINISHED, MailingStatus.CANCELLED}:
        made = replace(made, segments=3, message_shards=4, started_at=NOW - HOUR, planned_at=NOW - HOUR)
    if status is MailingStatus.FINISHED:
        made = replace(made, finished_at=NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


class Desk:
    """The controls, upon fakes."""

    def __init__(self, *mailings: Mailing, tickets: Callable[[FakeTicketQueue], FakeTicketQueue] = lambda q: q) -> None:
        self.clock = FakeClock()
        self.mailings = FakeMailingRepository(*mailings)
        self.scheduler = FakeScheduler()
        self.segments = FakeSegmentRepository(self.mailings)
        self.tickets = FakeTicketQueue(self.clock)
        sweep = OrderSweep(self.segments, tickets(self.tickets), self.clock)
        self.service = ControlMailings(self.mailings, self.scheduler, sweep, self.clock)

    def use(self, control: str) -> Mailing:
        used: Mailing = getattr(self.service, control)(ID)
        return used

    @property
    def stored(self) -> Mailing:
        return self.mailings.stored[ID]

    def names(self) -> Sequence[str]:
        return [segment.segment for segment in self.segments.of_mailing(ID)]


@pytest.mark.parametrize(("control", "status"), ALLOWED)
def test_a_control_is_stored_where_the_state_allows_it(control: str, status: MailingStatus) -> None:
    before = in_state(status)
    desk = Desk(before)
    after = desk.use(control)
    assert after == desk.stored
    assert (after.status, after.version, after.updated_at) == (ALLOWED[control, status], 6, NOW)
    told = {"status": before.status, "version": 5, "updated_at": before.updated_at, "sweep": 0}
    if control == "retry":
        assert (after.planned_at, after.finished_at) == (None, None)
        told |= {"planned_at": before.planned_at, "finished_at": before.finished_at}
    assert replace(after, **told) == before  # type: ignore[arg-type]


@pytest.mark.parametrize(("control", "status"), REFUSED)
def test_a_control_is_refused_where_the_state_does_not_allow_it(control: str, status: MailingStatus) -> None:
    desk = Desk(in_state(status))
    desk.scheduler.put(in_state(status))
    with pytest.raises(ConflictError, match=f"is {status} ") as caught:
        desk.use(control)
    assert not isinstance(caught.value, StaleError)
    assert desk.stored == in_state(status)
    assert (desk.names(), desk.tickets.queued_segments, desk.scheduler.started) == ([], [], [])
    assert list(desk.scheduler.scheduled) == [ID]


@pytest.mark.parametrize("control", CONTROLS)
def test_what_is_deleted_or_never_was_is_not_found(control: str) -> None:
    for desk in (Desk(), Desk(in_state(MailingStatus.DELETED))):
        with pytest.raises(NotFoundError):
            desk.use(control)


@pytest.mark.parametrize(("control", "status"), [pair for pair in ALLOWED if pair[0] != "cancel"])
def test_after_the_end_nothing_can_be_set_going(control: str, status: MailingStatus) -> None:
    for end_at in (NOW, NOW - timedelta(milliseconds=1)):
        over = in_state(status, end_at=end_at)
        desk = Desk(over)
        with pytest.raises(ConflictError, match=f"is {status}, .*end_at has passed") as caught:
            desk.use(control)
        assert ("later end_at" in str(caught.value)) == (status is not MailingStatus.FINISHED)  # it cannot change there
        assert (desk.stored, desk.names(), desk.scheduler.started) == (over, [], [])


@pytest.mark.parametrize("status", [status for control, status in ALLOWED if control == "cancel"])
def test_a_mailing_is_cancelled_even_after_its_end(status: MailingStatus) -> None:
    assert Desk(in_state(status, end_at=NOW - HOUR)).use("cancel").status is MailingStatus.CANCELLED


# --- Rows follow by sweep


@pytest.mark.parametrize(("control", "status"), SWEPT)
def test_a_sweep_is_ordered_with_the_change(control: str, status: MailingStatus) -> None:
    desk = Desk(in_state(status))
    after = desk.use(control)
    kind, looks = (SegmentKind.RETRY, 1) if control == "retry" else (SegmentKind.FOLLOW, 2)
    assert kind is SegmentKind.RETRY or after.sweep == 6
    segments = desk.segments.of_mailing(ID)
    assert {(segment.kind, segment.sweep, segment.done) for segment in segments} == {(kind, 6, False)}
    for look in range(looks):
        share = segments[look * 4 : look * 4 + 4]
        assert sorted(part for segment in share for part in segment.parts) == sorted(after.message_parts)
        delay = SECOND_LOOK * look
        assert {segment.due_at for segment in share} == {NOW + delay + SEGMENT_GRACE}
        queued = [each for each in desk.tickets.queued_segments if each.delay == delay]
        assert [each.ticket.segment for each in queued] == [segment.segment for segment in share]
    assert len(desk.tickets.queued_segments) == len(segments) == looks * 4
    assert len(set(desk.names())) == len(segments)
    assert {segment.expires_at for segment in segments} == {after.rows_expire_at}


def test_the_second_look_comes_fifteen_seconds_later() -> None:
    desk = Desk(in_state(MailingStatus.RUNNING))
    desk.use("pause")
    assert {each.delay.total_seconds() for each in desk.tickets.queued_segments} == {0, 15}


def test_a_large_mailing_is_swept_in_eight_shares() -> None:
    desk = Desk(in_state(MailingStatus.RUNNING, message_shards=64))
    desk.use("retry")
    assert [len(segment.parts) for segment in desk.segments.of_mailing(ID)] == [8] * 8


def test_sweeps_that_come_one_after_the_other_are_different_ones() -> None:
    desk = Desk(in_state(MailingStatus.RUNNING))
    for control in ("pause", "resume", "retry", "cancel"):
        desk.use(control)
    assert len(desk.names()) == len(desk.tickets.queued_segments) == 8 + 8 + 4 + 8
    assert {segment.sweep for segment in desk.segments.of_mailing(ID)} == {6, 7, 8, 9}


@pytest.mark.parametrize("status", [MailingStatus.DRAFT, MailingStatus.SCHEDULED])
def test_what_has_not_started_has_no_rows_to_sweep(status: MailingStatus) -> None:
    desk = Desk(in_state(status))
    assert desk.use("cancel").sweep == 0
    assert (desk.names(), desk.tickets.queued_segments) == ([], [])


@pytest.mark.parametrize(("control", "status"), SWEPT)
def test_a_control_stands_although_its_tickets_cannot_be_queued(control: str, status: MailingStatus) -> None:
    refuse = failing(TransientError("no queue"))
    desk = Desk(in_state(status), tickets=lambda queue: watched(queue, refuse, "send_segments"))
    assert desk.use(control) == desk.stored
    assert desk.stored.status is ALLOWED[control, status]
    assert desk.tickets.queued_segments == []
    assert all(segment.due_at for segment in desk.segments.of_mailing(ID))  # by which the dispatcher finds them


# --- Others at the same mailing


@pytest.mark.parametrize(("control", "status"), ALLOWED)
def test_a_control_is_used_again_upon_the_change_of_another(control: str, status: MailingStatus) -> None:
    desk = Desk(in_state(status))
    interfere(desk, times=1)
    after = desk.use(control)
    assert after == desk.stored
    assert (after.status, after.text, after.version) == (ALLOWED[control, status], "changed 5", 7)
    assert {segment.sweep for segment in desk.segments.of_mailing(ID)} <= {7}


def test_a_control_that_the_change_of_another_forbids_is_refused() -> None:
    desk = Desk(in_state(MailingStatus.RUNNING))
    interfere(desk, times=1, status=MailingStatus.CANCELLED)
    with pytest.raises(ConflictError, match="is cancelled and"):
        desk.use("pause")
    assert desk.names() == []


def test_a_mailing_that_is_opened_while_it_is_cancelled_is_swept() -> None:
    desk = Desk(in_state(MailingStatus.SCHEDULED))
    interfere(desk, times=1, status=MailingStatus.RUNNING, segments=1, message_shards=4)
    assert desk.use("cancel").status is MailingStatus.CANCELLED
    assert len(desk.names()) == 8


def test_who_is_never_fast_enough_is_told_so() -> None:
    desk = Desk(in_state(MailingStatus.RUNNING))
    interfere(desk, times=TRIES)
    with pytest.raises(StaleError):
        desk.use("pause")
    assert (desk.stored.status, desk.names()) == (MailingStatus.RUNNING, [])


def interfere(desk: Desk, *, times: int, **changes: object) -> None:
    """Have somebody else change the mailing between a read and the write after it."""
    read = desk.mailings.get
    left = times

    def get(mailing_id: str) -> Mailing | None:
        nonlocal left
        found = read(mailing_id)
        if found and left:
            left -= 1
            others = {"text": f"changed {found.version}", "version": found.version + 1} | changes
            desk.mailings.stored[mailing_id] = replace(found, **others)  # type: ignore[arg-type]
        return found

    desk.mailings.get = get  # type: ignore[method-assign]


# --- The schedule


def test_a_draft_whose_time_is_to_come_is_scheduled() -> None:
    desk = Desk(in_state(MailingStatus.DRAFT, start_at=NOW + HOUR))
    desk.use("start")
    assert (desk.scheduler.scheduled, desk.scheduler.started) == ({ID: NOW + HOUR}, [])


def test_a_draft_whose_time_has_come_starts_at_once() -> None:
    desk = Desk(in_state(MailingStatus.DRAFT, start_at=NOW))
    desk.use("start")
    assert (desk.scheduler.scheduled, desk.scheduler.started) == ({}, [ID])


@pytest.mark.parametrize("start_at", [NOW, NOW + HOUR])
def test_a_draft_is_started_although_the_scheduler_is_down(start_at: object) -> None:
    desk = Desk(in_state(MailingStatus.DRAFT, start_at=start_at))
    desk.scheduler.down = True
    assert desk.use("start") == desk.stored
    assert desk.stored.status is MailingStatus.SCHEDULED


def test_a_cancelled_mailing_loses_its_schedule() -> None:
    desk = Desk(in_state(MailingStatus.SCHEDULED, start_at=NOW + HOUR))
    desk.scheduler.put(desk.stored)
    desk.use("cancel")
    assert desk.scheduler.scheduled == {}


def test_a_mailing_is_cancelled_although_its_schedule_cannot_be() -> None:
    desk = Desk(in_state(MailingStatus.SCHEDULED))
    desk.scheduler.down = True
    assert desk.use("cancel").status is MailingStatus.CANCELLED


@pytest.mark.parametrize(("control", "status"), [pair for pair in ALLOWED if pair[0] in {"pause", "resume", "retry"}])
def test_what_has_started_is_not_scheduled_again(control: str, status: MailingStatus) -> None:
    desk = Desk(in_state(status))
    desk.use(control)
    assert (desk.scheduler.scheduled, desk.scheduler.started) == ({}, [])


def test_a_retry_right_after_a_resume_does_not_lose_what_the_resume_frees() -> None:
    made = World()
    made.add_clients(clients(5))
    running = mailing()
    made.mailings.create(running)
    made.start(running.id)
    made.plan_waiting()
    made.control().pause(running.id)
    made.plan_waiting()
    made.clock.advance(timedelta(seconds=20))
    made.plan_waiting()
    assert {row.reason for row in made.rows(running)} == {Reason.PAUSED}

    made.control().resume(running.id)
    made.control().retry(running.id)
    for _ in range(3):
        made.clock.advance(timedelta(seconds=20))
        made.plan_waiting()
        made.send_waiting()

    assert {row.status for row in made.rows(running)} == {Status.SENT}


def test_a_retry_that_comes_to_its_rows_after_the_end_leaves_them_failed() -> None:
    made = World()
    made.add_clients(clients(2))
    ending = mailing()
    made.mailings.create(ending)
    made.provider.answer = Answer(AnswerKind.REFUSED, "http_400", 400)
    made.start(ending.id)
    made.plan_waiting()
    made.send_waiting()
    made.control().retry(ending.id)
    made.clock.now = ending.end_at

    made.plan_waiting()

    assert {(row.status, row.reason) for row in made.rows(ending)} == {(Status.FAILED, Reason.REFUSED)}
