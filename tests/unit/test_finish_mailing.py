from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Reason, Status
from chalicelib.domain.segment import Segment
from chalicelib.errors import StaleError
from tests.builders import NOW, mailing, message
from tests.fakes.watched import Moment, failing
from tests.world import World

STARTED = mailing(status=MailingStatus.RUNNING, version=2, segments=2)
PLANNED = replace(STARTED, planned_at=NOW, version=3)
LATER = NOW + timedelta(minutes=1)


def segments(*due_at: datetime | None) -> list[Segment]:
    return [Segment(STARTED.id, f"plan#{number:02d}", ("p",), due_at=due) for number, due in enumerate(due_at)]


def world(*, planned: bool = True, due_at: tuple[datetime | None, ...] = (None, None)) -> World:
    made = World()
    made.mailings.create(PLANNED if planned else STARTED)
    for segment in segments(*due_at):
        made.segments.stored[segment.mailing_id, segment.segment] = segment
    made.clock.now = LATER
    return made


# --- Planning


def test_planning_is_complete_when_all_segments_are_done() -> None:
    made = world(planned=False)
    made.messages.add(message())
    made.finish().planning(STARTED.id)
    assert made.mailings.get(STARTED.id) == replace(STARTED, planned_at=LATER, version=3)


def test_planning_is_not_complete_while_a_segment_is_not_done() -> None:
    made = world(planned=False, due_at=(None, NOW))
    made.finish().planning(STARTED.id)
    assert made.mailings.get(STARTED.id) == STARTED


@pytest.mark.parametrize(("kind", "planned"), [("retry", False), ("follow", True)])
def test_planning_waits_for_what_queues_rows_again_but_not_for_what_only_follows(kind: str, planned: bool) -> None:  # noqa: FBT001
    made = world(planned=False)
    made.messages.add(message())
    sweep = Segment(STARTED.id, f"{kind}#000002#1#00", ("p",), sweep=2, due_at=NOW)
    made.segments.stored[STARTED.id, sweep.segment] = sweep
    made.finish().planning(STARTED.id)
    assert (made.mailings.stored[STARTED.id].planned_at is not None) == planned


def test_the_time_at_which_planning_was_complete_does_not_change() -> None:
    made = world()
    made.messages.add(message())
    made.finish().planning(STARTED.id)
    assert made.mailings.get(STARTED.id) == PLANNED


def test_a_mailing_with_nobody_in_its_audience_is_finished_as_soon_as_it_is_planned() -> None:
    made = world(planned=False)
    made.finish().planning(STARTED.id)
    finished = made.mailings.get(STARTED.id)
    assert finished is not None
    assert (finished.status, finished.planned_at, finished.finished_at) == (MailingStatus.FINISHED, LATER, LATER)
    assert finished.version == STARTED.version + 2


def test_a_change_by_somebody_else_does_not_stop_planning_from_being_noted() -> None:
    made = world(planned=False)
    made.messages.add(message())
    made.hook = failing(StaleError("changed"), times=3)
    made.finish().planning(STARTED.id)
    assert made.mailings.stored[STARTED.id].planned_at == LATER


def test_what_is_changed_all_the_time_is_left_to_the_dispatcher() -> None:
    made = world(planned=False)
    made.hook = failing(StaleError("changed"), times=100)
    made.finish().planning(STARTED.id)
    assert made.mailings.get(STARTED.id) == STARTED


def test_nothing_is_noted_of_a_mailing_that_does_not_exist() -> None:
    made = world()
    made.finish().planning("none")
    made.finish()("none")
    assert set(made.mailings.stored) == {STARTED.id}


# --- Finishing


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.EXPIRED, Status.CANCELLED])
def test_a_mailing_without_open_rows_is_finished(status: Status) -> None:
    made = world()
    made.messages.add(message(status=status))
    made.finish()(STARTED.id)
    assert made.mailings.get(STARTED.id) == replace(
        PLANNED, status=MailingStatus.FINISHED, finished_at=LATER, updated_at=LATER, version=4
    )


@pytest.mark.parametrize(("status", "reason"), [(Status.QUEUED, None), (Status.DEFERRED, Reason.WINDOW)])
def test_a_mailing_with_an_open_row_is_not_finished(status: Status, reason: Reason | None) -> None:
    made = world()
    made.messages.add(message(status=status, reason=reason))
    made.finish()(STARTED.id)
    assert made.mailings.get(STARTED.id) == PLANNED


def test_a_mailing_that_is_not_planned_yet_is_not_finished() -> None:
    made = world(planned=False)
    made.finish()(STARTED.id)
    assert made.mailings.get(STARTED.id) == STARTED


def test_a_paused_mailing_whose_rows_all_ended_is_finished() -> None:
    made = world()
    made.mailings.stored[STARTED.id] = replace(PLANNED, status=MailingStatus.PAUSED)
    made.messages.add(message(status=Status.SENT))
    made.finish()(STARTED.id)
    assert made.mailings.stored[STARTED.id].status is MailingStatus.FINISHED


@pytest.mark.parametrize("status", sorted(set(MailingStatus) - {MailingStatus.RUNNING, MailingStatus.PAUSED}))
def test_no_other_mailing_is_finished(status: MailingStatus) -> None:
    made = world()
    made.mailings.stored[STARTED.id] = other = replace(PLANNED, status=status)
    made.finish()(STARTED.id)
    assert made.mailings.get(STARTED.id) == other


def test_finishing_does_not_write_over_a_change_made_meanwhile() -> None:
    made = world()
    paused = replace(PLANNED, status=MailingStatus.PAUSED, version=4)
    made.hook = changing(lambda: made.mailings.stored.update({STARTED.id: paused}))
    made.finish()(STARTED.id)
    assert made.mailings.get(STARTED.id) == paused


def changing(change: Callable[[], None]) -> Callable[[Moment, str], None]:
    """Make a hook that changes something before the first write."""
    changes = [change]

    def hook(moment: Moment, _name: str) -> None:
        if moment is Moment.BEFORE and changes:
            changes.pop()()

    return hook
