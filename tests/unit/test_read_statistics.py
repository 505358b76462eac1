from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.segment import Segment, SegmentKind
from chalicelib.errors import NotFoundError
from chalicelib.services import read_statistics
from chalicelib.services.read_statistics import Counts, ReadStatistics, SweepProgress
from tests.builders import NOW, mailing, ulid
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.messages import FakeMessageRepository
from tests.fakes.segments import FakeSegmentRepository

MAILINGS = [mailing(id=ulid(n)) for n in range(5)]


def reading(counts: dict[str, dict[str, int]], *segments: Segment) -> ReadStatistics:
    mailings = FakeMailingRepository(*MAILINGS, mailing(id=ulid(9), status=MailingStatus.DELETED))
    counters = FakeMessageRepository()
    counters.counts.update({id_: Counter(of_one) for id_, of_one in counts.items()})
    counters.minutes[ulid(0)].update({NOW + timedelta(minutes=n): Counter(sent=n) for n in range(130)})
    return ReadStatistics(mailings, counters, FakeSegmentRepository(mailings, *segments))


def test_counts_are_of_all_statuses() -> None:
    counts = Counts.of(Counter({"sent": 3, "failed": 1, "failed.refused": 1, "attempts": 4, "error.http_422": 1}))
    assert counts == Counts(sent=3, failed=1)
    assert counts.total == 4


@pytest.mark.parametrize("listed", [1, 2, 500])
def test_totals_are_over_all_mailings_that_are_not_deleted(listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_statistics, "_LISTED", listed)
    service = reading({ulid(0): {"sent": 1}, ulid(4): {"sent": 2, "queued": 3}, ulid(9): {"sent": 100}})
    overview = service.overview(None, 2)
    assert overview.totals == Counts(sent=3, queued=3)
    assert [(each.id, counts.total) for each, counts in overview.mailings.items] == [(ulid(4), 5), (ulid(3), 0)]
    rest = service.overview(overview.mailings.next, 500)
    assert [each.id for each, _ in rest.mailings.items] == [ulid(2), ulid(1), ulid(0)]
    assert rest.totals == overview.totals


def test_what_is_counted_below_a_name_comes_with_the_most_common_first() -> None:
    counts = {"failed": 5, "failed.refused": 2, "failed.crash": 3, "failed.attempts": 0, "error.timeout": 1}
    statistics = reading({ulid(0): counts}).of_mailing(ulid(0))
    assert list(statistics.under("failed").items()) == [("crash", 3), ("refused", 2)]
    assert statistics.under("deferred") == {}


def test_the_latest_minutes_are_shown() -> None:
    minutes = reading({}).of_mailing(ulid(0)).per_minute
    assert [counts["sent"] for _, counts in minutes] == list(range(10, 130))


def segment(name: str, sweep: int = 0, *, done: bool) -> Segment:
    return Segment(ulid(0), name, ("a part",), sweep=sweep, due_at=None if done else NOW)


def test_segments_that_are_planned_are_counted_and_sweeps_are_not() -> None:
    segments = (
        segment("plan#00", done=True),
        segment("plan#01", done=False),
        segment("follow#000003#1#00", 3, done=True),
        segment("retry#000004#1#00", 4, done=True),
    )
    assert reading({}, *segments).of_mailing(ulid(0)).segments_planned == 1


def test_the_progress_is_that_of_the_latest_sweep() -> None:
    planned = segment("plan#00", done=False)
    followed = [segment(f"follow#000009#1#0{n}", 9, done=n > 0) for n in range(3)]
    retried = [segment(f"retry#000010#1#0{n}", 10, done=n > 2) for n in range(4)]
    assert reading({}, planned).of_mailing(ulid(0)).sweep is None
    assert reading({}, planned, *followed).of_mailing(ulid(0)).sweep == SweepProgress(SegmentKind.FOLLOW, 3, 2)
    latest = reading({}, planned, *retried, *followed).of_mailing(ulid(0)).sweep
    assert latest == SweepProgress(SegmentKind.RETRY, 4, 1)


@pytest.mark.parametrize("id_", [ulid(9), ulid(404)])
def test_what_is_deleted_or_never_was_is_not_found(id_: str) -> None:
    with pytest.raises(NotFoundError):
        reading({}).of_mailing(id_)
