"""What the port `SegmentRepository` promises, of the adapter and of its fake."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.segment import Segment
from chalicelib.errors import StaleError
from chalicelib.ports import MailingRepository, SegmentRepository
from tests.builders import NOW, mailing, ulid
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.segments import FakeSegmentRepository

if TYPE_CHECKING:
    from chalicelib.bootstrap import Application

SCHEDULED = mailing()
OPENED = replace(SCHEDULED, status=MailingStatus.RUNNING, started_at=NOW, segments=2, version=2)
LATER = NOW + timedelta(minutes=7)
MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Stored:
    mailings: MailingRepository
    segments: SegmentRepository


@pytest.fixture(params=["dynamodb", "fake"])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "fake":
        mailings = FakeMailingRepository()
        made = Stored(mailings, FakeSegmentRepository(mailings))
    else:
        built: Application = request.getfixturevalue("built")
        made = Stored(built.mailings, built.segments)
    made.mailings.create(SCHEDULED)
    return made


def segment(number: int = 0, mailing_id: str = SCHEDULED.id) -> Segment:
    return Segment(
        mailing_id,
        f"plan#{number:02d}",
        (f"all##{number:02d}", "all##31"),
        due_at=LATER,
        expires_at=SCHEDULED.rows_expire_at,
    )


def opened(stored: Stored, number: int = 2) -> list[Segment]:
    segments = [segment(n) for n in range(number)]
    stored.segments.change_mailing(SCHEDULED, OPENED, segments)
    return segments


def test_a_mailing_is_opened_together_with_its_segments(stored: Stored) -> None:
    segments = opened(stored, 32)
    assert stored.mailings.get(SCHEDULED.id) == OPENED
    assert stored.segments.of_mailing(SCHEDULED.id) == segments
    assert stored.segments.get(SCHEDULED.id, "plan#31") == segments[31]


def test_a_mailing_that_has_changed_is_not_opened_and_has_no_segments(stored: Stored) -> None:
    changed = replace(SCHEDULED, text="Another text.", version=2)
    stored.mailings.replace(SCHEDULED, changed)
    with pytest.raises(StaleError):
        stored.segments.change_mailing(SCHEDULED, OPENED, [segment()])
    assert stored.mailings.get(SCHEDULED.id) == changed
    assert stored.segments.of_mailing(SCHEDULED.id) == []


def test_a_mailing_is_opened_once(stored: Stored) -> None:
    segments = opened(stored)
    with pytest.raises(StaleError):
        stored.segments.change_mailing(SCHEDULED, OPENED, [replace(segment(), cursor_part=1)])
    assert stored.segments.of_mailing(SCHEDULED.id) == segments


def test_more_segments_than_one_answer_holds_are_read(stored: Stored) -> None:
    opened(stored, 1)
    large = [replace(segment(n), parts=(f"{n}" * 300_000,)) for n in range(1, 6)]
    before = OPENED
    for one in large:
        after = replace(before, version=before.version + 1)
        stored.segments.change_mailing(before, after, [one])
        before = after
    assert len(stored.segments.of_mailing(SCHEDULED.id)) == 6


def test_a_change_is_stored_together_with_its_sweep(stored: Stored) -> None:
    planning = opened(stored, 32)
    changed = replace(OPENED, status=MailingStatus.PAUSED, sweep=3, version=3)
    sweep = [replace(segment(n), segment=f"follow#000003#{look}#{n:02d}", sweep=3) for look in (1, 2) for n in range(8)]
    stored.segments.change_mailing(OPENED, changed, sweep)
    assert stored.mailings.get(SCHEDULED.id) == changed
    assert stored.segments.get(SCHEDULED.id, "follow#000003#2#07") == sweep[-1]
    assert {one.segment for one in stored.segments.of_mailing(SCHEDULED.id)} == {
        one.segment for one in planning + sweep
    }


def test_segments_are_those_of_one_mailing(stored: Stored) -> None:
    opened(stored)
    assert stored.segments.of_mailing(ulid(200)) == []
    assert stored.segments.get(ulid(200), "plan#00") is None
    assert stored.segments.get(SCHEDULED.id, "plan#02") is None


def test_how_far_a_segment_is_is_saved(stored: Stored) -> None:
    first, second = opened(stored)
    further = replace(first, cursor_part=1, cursor_after=ulid(7), due_at=LATER + MS)
    stored.segments.save(further)
    assert stored.segments.of_mailing(SCHEDULED.id) == [further, second]


def test_a_segment_that_is_done_stays_done_whoever_is_still_at_it(stored: Stored) -> None:
    first, _ = opened(stored)
    done = replace(first, cursor_part=2, due_at=None)
    stored.segments.save(done)
    stored.segments.save(replace(first, cursor_part=1))
    assert stored.segments.get(SCHEDULED.id, first.segment) == done
    stored.segments.save(done)
    assert stored.segments.get(SCHEDULED.id, first.segment) == done


def test_a_segment_that_was_never_opened_is_not_saved(stored: Stored) -> None:
    stored.segments.save(segment(9))
    assert stored.segments.get(SCHEDULED.id, "plan#09") is None


def test_segments_are_listed_when_they_are_due(stored: Stored) -> None:
    first, second, third = opened(stored, 3)
    stored.segments.save(replace(second, due_at=None))
    stored.segments.save(replace(third, due_at=LATER + MS))
    assert stored.segments.due(LATER - MS, 10) == []
    assert stored.segments.due(LATER, 10) == [(first.mailing_id, first.segment)]
    assert set(stored.segments.due(LATER + MS, 10)) == {(one.mailing_id, one.segment) for one in (first, third)}


def test_no_more_due_segments_are_listed_than_asked_for(stored: Stored) -> None:
    opened(stored, 12)
    assert len(stored.segments.due(LATER, 5)) == 5
    assert len(stored.segments.due(LATER, 100)) == 12
