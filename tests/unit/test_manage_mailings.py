from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import NOT_STARTED, STARTED, Mailing, MailingStatus, OnUncertain
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import ConflictError, NotFoundError, StaleError, ValidationError
from chalicelib.services.manage_mailings import ManageMailings, NewMailing
from chalicelib.services.optimistic import TRIES
from chalicelib.services.order_sweep import OrderSweep
from tests.builders import NOW, mailing, ulid
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.segments import FakeSegmentRepository

HOUR = timedelta(hours=1)
LATER = NOW + HOUR


class Desk:
    """The use cases, upon fakes, at a time that can be set."""

    def __init__(self, *mailings: Mailing) -> None:
        self.now = NOW
        self.mailings = FakeMailingRepository(*mailings)
        self.scheduler = FakeScheduler()
        self.segments = FakeSegmentRepository(self.mailings)
        self.tickets = FakeTicketQueue(lambda: self.now)
        self.service = ManageMailings(
            self.mailings,
            self.scheduler,
            OrderSweep(self.segments, self.tickets, lambda: self.now),
            clock=lambda: self.now,
            new_id=lambda: ulid(100),
        )

    def create(self, start_at: datetime, end_at: datetime, *, draft: bool = False) -> Mailing:
        return self.service.create(NewMailing(start_at, end_at, "Hello", AudienceFilter(), draft=draft))

    def change(self, **changes: Any) -> Mailing:  # noqa: ANN401 - facts by name
        return self.service.update(ulid(100), lambda before: replace(before, **changes))


@pytest.mark.parametrize("start_at", [NOW - HOUR, NOW])
def test_a_start_that_has_come_is_made_at_once(start_at: datetime) -> None:
    desk = Desk()
    assert desk.create(start_at, LATER).status is MailingStatus.SCHEDULED
    assert (desk.scheduler.started, desk.scheduler.scheduled) == ([ulid(100)], {})


def test_a_start_to_come_is_scheduled() -> None:
    desk = Desk()
    desk.create(LATER, LATER + HOUR)
    assert (desk.scheduler.started, desk.scheduler.scheduled) == ([], {ulid(100): LATER})


def test_a_mailing_stands_although_the_scheduler_is_down() -> None:
    desk = Desk()
    desk.scheduler.down = True
    assert desk.mailings.stored[desk.create(LATER, LATER + HOUR).id].status is MailingStatus.SCHEDULED


@pytest.mark.parametrize(
    ("start_at", "end_at", "says"),
    [
        (LATER, LATER, "after start_at"),
        (LATER, NOW, "after start_at"),
        (NOW - HOUR, NOW, "future"),
        (NOW, NOW + timedelta(days=30, milliseconds=1), "30 days"),
    ],
)
def test_times_that_contradict_each_other_are_refused(start_at: datetime, end_at: datetime, says: str) -> None:
    desk = Desk()
    with pytest.raises(ValidationError, match=says) as caught:
        desk.create(start_at, end_at)
    assert [error.field for error in caught.value.errors] == ["end_at"]
    assert (desk.mailings.stored, desk.scheduler.started) == ({}, [])


def test_thirty_days_are_allowed() -> None:
    Desk().create(LATER, LATER + timedelta(days=30))


def test_a_change_counts_up_the_version() -> None:
    desk = Desk(mailing(start_at=LATER))
    desk.now += HOUR / 2
    changed = desk.change(text="Other")
    assert changed == mailing(start_at=LATER, text="Other", version=2, updated_at=desk.now)
    assert desk.mailings.stored[ulid(100)] == changed
    assert desk.scheduler.scheduled == {}


def test_a_change_that_changes_nothing_stores_nothing_whatever_the_state() -> None:
    finished = mailing(status=MailingStatus.FINISHED)
    assert Desk(finished).change(text=finished.text) == finished


def test_a_moved_start_moves_the_schedule() -> None:
    desk = Desk(mailing(start_at=LATER))
    desk.change(start_at=LATER + HOUR)
    assert desk.scheduler.scheduled == {ulid(100): LATER + HOUR}


def test_a_start_moved_into_the_past_starts_at_once() -> None:
    desk = Desk(mailing(start_at=LATER))
    desk.change(start_at=NOW)
    assert desk.scheduler.started == [ulid(100)]


@pytest.mark.parametrize("changes", [{"end_at": NOW - HOUR}, {"end_at": NOW}, {"start_at": NOW + timedelta(days=2)}])
def test_changed_times_must_fit(changes: dict[str, datetime]) -> None:
    desk = Desk(mailing(start_at=NOW - 2 * HOUR))
    with pytest.raises(ValidationError, match="end_at"):
        desk.change(**changes)
    assert desk.mailings.stored[ulid(100)].version == 1


def test_an_end_that_has_passed_does_not_stand_in_the_way_of_other_changes() -> None:
    desk = Desk(mailing(end_at=NOW - HOUR, start_at=NOW - 2 * HOUR))
    assert desk.change(text="Other").text == "Other"


@pytest.mark.parametrize("status", [MailingStatus.RUNNING, MailingStatus.PAUSED])
@pytest.mark.parametrize("changes", [{"start_at": LATER}, {"filter": AudienceFilter(("916",))}])
def test_what_is_fixed_with_the_start_is_named(status: MailingStatus, changes: dict[str, Any]) -> None:
    desk = Desk(mailing(status=status))
    with pytest.raises(ConflictError, match=next(iter(changes))):
        desk.change(**changes)
    assert desk.change(text="Other").text == "Other"


@pytest.mark.parametrize("status", [MailingStatus.FINISHED, MailingStatus.CANCELLED])
def test_what_is_over_cannot_change(status: MailingStatus) -> None:
    with pytest.raises(ConflictError, match=status):
        Desk(mailing(status=status)).change(text="Other")


def test_what_is_deleted_or_never_was_is_not_found() -> None:
    for desk in (Desk(), Desk(mailing(status=MailingStatus.DELETED))):
        for use in (desk.service.get, desk.service.delete, lambda _, desk=desk: desk.change(text="x")):
            with pytest.raises(NotFoundError):
                use(ulid(100))


@pytest.mark.parametrize("draft", [True, False])
def test_attempts_with_one_id_create_one_mailing_and_have_it_started(draft: bool) -> None:  # noqa: FBT001
    desk = Desk()
    new = NewMailing(LATER, LATER + HOUR, "Hello", AudienceFilter(), draft=draft)
    first = desk.service.create(new, ulid(7))
    desk.scheduler.scheduled.clear()  # as if the first attempt had ended before
    desk.now += timedelta(seconds=5)
    assert desk.service.create(new, ulid(7)) == first
    assert list(desk.mailings.stored) == [ulid(7)]
    assert len(desk.scheduler.scheduled) == (0 if draft else 1)


def test_a_mailing_that_must_not_be_deleted_as_it_is_stays() -> None:
    desk = Desk(mailing())

    def refuse(_mailing: Mailing) -> None:
        raise ConflictError("not as it is")

    with pytest.raises(ConflictError, match="as it is"):
        desk.service.delete(ulid(100), refuse)
    assert desk.mailings.stored[ulid(100)] == mailing()


def test_a_deleted_mailing_keeps_its_row_and_loses_its_schedule() -> None:
    desk = Desk(mailing(start_at=LATER))
    desk.scheduler.put(mailing(start_at=LATER))
    desk.service.delete(ulid(100))
    assert desk.mailings.stored[ulid(100)].status is MailingStatus.DELETED
    assert desk.scheduler.scheduled == {}


def test_a_mailing_is_deleted_although_its_schedule_cannot_be() -> None:
    desk = Desk(mailing())
    desk.scheduler.down = True
    desk.service.delete(ulid(100))
    assert desk.mailings.stored[ulid(100)].status is MailingStatus.DELETED


def test_a_change_is_made_again_upon_that_of_another() -> None:
    desk = Desk(mailing())
    seen: list[MailingStatus] = []

    def change(before: Mailing) -> Mailing:
        seen.append(before.status)
        if len(seen) == 1:  # the planner opens the mailing between our read and our write
            desk.mailings.stored[before.id] = replace(before, status=MailingStatus.RUNNING, version=2)
        return replace(before, text="Other")

    changed = desk.service.update(ulid(100), change)
    assert seen == [MailingStatus.SCHEDULED, MailingStatus.RUNNING]
    assert (changed.status, changed.text, changed.version) == (MailingStatus.RUNNING, "Other", 3)


def test_who_is_never_fast_enough_is_told_so() -> None:
    desk = Desk(mailing())

    def change(before: Mailing) -> Mailing:
        desk.mailings.stored[before.id] = replace(before, version=before.version + 1)
        return replace(before, text=f"{before.version}")

    with pytest.raises(StaleError):
        desk.service.update(ulid(100), change)
    assert desk.mailings.stored[ulid(100)].version == 1 + TRIES


@pytest.mark.parametrize("start_at", [NOW - HOUR, LATER])
def test_a_draft_is_not_started(start_at: datetime) -> None:
    desk = Desk()
    assert desk.create(start_at, LATER + HOUR, draft=True).status is MailingStatus.DRAFT
    assert desk.mailings.stored[ulid(100)].status is MailingStatus.DRAFT
    assert (desk.scheduler.started, desk.scheduler.scheduled) == ([], {})


@pytest.mark.parametrize("status", sorted(NOT_STARTED))
def test_everything_may_change_before_the_start(status: MailingStatus) -> None:
    desk = Desk(mailing(start_at=LATER, status=status))
    changes: dict[str, Any] = {
        "start_at": LATER + HOUR,
        "end_at": LATER + 3 * HOUR,
        "text": "Other",
        "filter": AudienceFilter(("916",)),
        "window": LocalWindow.parse("09:00", "21:00"),
        "on_uncertain": OnUncertain.HOLD,
    }
    changed = desk.change(**changes)
    assert changed == replace(mailing(status=status, version=2), **changes)
    scheduled = {} if status is MailingStatus.DRAFT else {ulid(100): LATER + HOUR}
    assert (desk.scheduler.scheduled, desk.scheduler.started) == (scheduled, [])
    assert (desk.segments.stored, desk.tickets.queued_segments) == ({}, [])


def test_a_draft_moved_into_the_past_is_not_started() -> None:
    desk = Desk(mailing(start_at=LATER, status=MailingStatus.DRAFT))
    desk.change(start_at=NOW - HOUR)
    assert desk.scheduler.started == []


RUNS: dict[str, Any] = {"segments": 3, "message_shards": 4, "started_at": NOW, "planned_at": NOW}
WINDOW = LocalWindow.parse("09:00", "21:00")


@pytest.mark.parametrize("status", sorted(STARTED))
@pytest.mark.parametrize("changes", [{"end_at": LATER}, {"window": WINDOW}, {"window": WINDOW, "text": "Other"}])
def test_rows_follow_a_changed_end_or_window(status: MailingStatus, changes: dict[str, Any]) -> None:
    desk = Desk(mailing(status=status, **RUNS))
    changed = desk.change(**changes)
    assert (changed.sweep, changed.version) == (2, 2)
    assert desk.mailings.stored[ulid(100)] == changed
    assert {segment.kind for segment in desk.segments.of_mailing(ulid(100))} == {SegmentKind.FOLLOW}
    assert [queued.ticket.segment for queued in desk.tickets.queued_segments] == [
        segment.segment for segment in desk.segments.of_mailing(ulid(100))
    ]


@pytest.mark.parametrize("status", sorted(STARTED))
@pytest.mark.parametrize("changes", [{"text": "Other"}, {"on_uncertain": OnUncertain.HOLD}, {}])
def test_rows_have_nothing_to_follow_in_what_each_request_reads(status: MailingStatus, changes: dict[str, Any]) -> None:
    desk = Desk(mailing(status=status, **RUNS))
    assert desk.change(**changes).sweep == 0
    assert (desk.segments.stored, desk.tickets.queued_segments) == ({}, [])


def test_rows_keep_to_an_earlier_sweep_when_the_text_changes() -> None:
    desk = Desk(mailing(status=MailingStatus.RUNNING, sweep=7, version=9, **RUNS))
    assert desk.change(text="Other").sweep == 7


@pytest.mark.parametrize("status", sorted(STARTED))
def test_rows_follow_a_deletion(status: MailingStatus) -> None:
    desk = Desk(mailing(status=status, **RUNS))
    desk.service.delete(ulid(100))
    deleted = desk.mailings.stored[ulid(100)]
    assert (deleted.status, deleted.sweep) == (MailingStatus.DELETED, 2)
    assert {segment.kind for segment in desk.segments.of_mailing(ulid(100))} == {SegmentKind.FOLLOW}


@pytest.mark.parametrize("status", sorted(set(MailingStatus) - STARTED - {MailingStatus.DELETED}))
def test_a_deletion_has_no_rows_to_end_where_none_is_open(status: MailingStatus) -> None:
    desk = Desk(mailing(status=status))
    desk.service.delete(ulid(100))
    assert desk.mailings.stored[ulid(100)].status is MailingStatus.DELETED
    assert (desk.segments.stored, desk.tickets.queued_segments) == ({}, [])


def test_a_mailing_that_is_opened_while_it_is_deleted_is_swept() -> None:
    desk = Desk(mailing(start_at=NOW))
    read = desk.mailings.get

    def opened_behind_our_back(mailing_id: str) -> Mailing | None:
        before = read(mailing_id)
        if before and before.status is MailingStatus.SCHEDULED:
            desk.mailings.stored[mailing_id] = replace(before, status=MailingStatus.RUNNING, version=2, **RUNS)
        return before

    desk.mailings.get = opened_behind_our_back  # type: ignore[method-assign]
    desk.service.delete(ulid(100))
    assert (desk.mailings.stored[ulid(100)].status, desk.mailings.stored[ulid(100)].sweep) == (MailingStatus.DELETED, 3)
    assert len(desk.segments.stored) == 8
