"""What the report of a day says, on fakes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.journal import Line
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.report_day import ReportDay
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.ports import CounterRepository, DeadLetters, FunctionLogs, MailingRepository
from chalicelib.services import gather_report
from chalicelib.services.gather_report import Gap, GatherReport, NightlyCheck, Report
from tests.builders import mailing, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.watched import failing, watched
from tests.world import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = ReportDay.of(date(2026, 11, 22), UTC)
NOON = DAY.begins_at + 12 * HOUR
NO = TransientError("no")


class FakeLogs:
    """The log of the nightly check (port: `FunctionLogs`)."""

    def __init__(self, *pages: Sequence[Line], error: Exception | None = None) -> None:
        self._pages = pages
        self._error = error
        self.asked: list[tuple[str, Sequence[str], datetime]] = []

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:
        self.asked.append((function, terms, since))
        if self._error:
            raise self._error
        yield from self._pages


def line(at: datetime, message: str, **fields: Any) -> Line:  # noqa: ANN401 - JSON
    return Line(at, at, "drift-check", "", {"message": message, **fields})


def checked(at: datetime = NOON, **verdicts: int) -> Line:
    return line(at, "counters checked", service="vestnik", **{"right": 3, "drift": 0, "busy": 0, **verdicts})


@pytest.fixture
def world() -> World:
    world = World()
    world.clock.now = DAY.ends_at + 8 * HOUR
    return world


def stored(world: World, number: int, status: MailingStatus = MailingStatus.FINISHED, **changes: Any) -> Mailing:  # noqa: ANN401
    given = {
        "start_at": NOON,
        "started_at": NOON,
        "planned_at": NOON,
        "created_at": NOON - 72 * HOUR,
        "updated_at": NOON + HOUR,
        "finished_at": NOON + HOUR if status is MailingStatus.FINISHED else None,
    } | changes
    made = mailing(id=ulid(number), status=status, **given)
    world.mailings.create(made)
    return made


def counted(world: World, made: Mailing, sent_at: datetime | None = None, **counts: int) -> None:
    named = {name.replace("__", "."): number for name, number in counts.items()}
    world.messages.counts[made.id] = Counter(named)
    if counts.get("sent"):
        world.messages.minutes[made.id][sent_at or NOON]["sent"] += counts["sent"]


def gathered(
    world: World,
    *,
    mailings: MailingRepository | None = None,
    counters: CounterRepository | None = None,
    dead: DeadLetters | None = None,
    logs: FunctionLogs | None = None,
    time: timedelta = MINUTE,
) -> Report:
    gather = GatherReport(
        mailings or world.mailings,
        counters or world.messages,
        dead or FakeDeadLetters(world.clock),
        logs or FakeLogs([checked()]),
        world.clock,
    )
    return gather(DAY, world.clock() + time)


def test_quiet_day_has_nothing_and_no_gap(world: World) -> None:
    report = gathered(world)
    assert (report.traffic.sent, report.traffic.ended, report.ended, report.open) == (0, 0, [], [])
    assert (report.uncounted, report.gaps) == (0, frozenset())
    assert report.dead_letters == dict.fromkeys(DeadQueue, 0)


def test_mailings_that_ended_give_their_numbers_to_the_day_when_they_did(world: World) -> None:
    made = stored(world, 100)
    earlier = stored(world, 101, finished_at=NOON - 24 * HOUR, start_at=NOON - 26 * HOUR, started_at=NOON - 26 * HOUR)
    stopped = stored(world, 102, MailingStatus.CANCELLED)
    counted(world, made, sent=10, failed=3, expired=2, failed__refused=2, failed__crash=1)
    counted(world, earlier, NOON - 25 * HOUR, sent=7, failed=1, failed__refused=1)
    counted(world, stopped, sent=1, cancelled=40)
    report = gathered(world)
    traffic, before = report.traffic, report.traffic_before
    assert (traffic.sent, traffic.failed, traffic.expired, traffic.cancelled, traffic.ended) == (11, 3, 2, 40, 2)
    assert traffic.causes == Counter(refused=2, crash=1)
    assert (before.sent, before.failed, before.expired, before.cancelled, before.ended) == (7, 1, 0, 0, 1)
    assert before.causes == Counter(refused=1)
    assert [each.mailing.id for each in report.ended] == [stopped.id, made.id]


def test_messages_are_sent_on_the_day_when_they_were_whenever_their_mailing_ends(world: World) -> None:
    made = stored(world, 100, MailingStatus.RUNNING, start_at=NOON - 48 * HOUR, started_at=NOON - 48 * HOUR)
    counted(world, made, sent=1000, queued=5, failed=9)
    world.messages.minutes[made.id] = {
        DAY.before.begins_at - MINUTE: Counter(sent=500),
        DAY.before.begins_at: Counter(sent=100),
        DAY.begins_at - MINUTE: Counter(sent=20),
        DAY.begins_at: Counter(sent=3),
        DAY.ends_at - MINUTE: Counter(sent=4),
        DAY.ends_at: Counter(sent=373),
    }
    report = gathered(world)
    assert (report.traffic.sent, report.traffic_before.sent) == (7, 120)
    assert (report.traffic.failed, report.traffic.ended, report.ended) == (0, 0, [])
    (still_open,) = report.open
    assert (still_open.counts.queued, still_open.counts.failed) == (5, 9)


def test_what_is_of_other_days_or_of_nobody_is_left_out(world: World) -> None:
    others: tuple[dict[str, Any], ...] = (
        {"finished_at": DAY.before.begins_at - MINUTE, "started_at": NOON - 72 * HOUR},
        {"started_at": DAY.ends_at, "finished_at": DAY.ends_at + HOUR},
        {"test_of": ulid(5)},
        {"status": MailingStatus.DELETED},
        {"status": MailingStatus.CANCELLED, "started_at": None},
        {"start_at": NOON - timedelta(days=40)},
    )
    for number, changes in enumerate(others):
        counted(world, stored(world, 100 + number, **changes), sent=1, failed=1)
    report = gathered(world)
    assert (report.traffic.sent, report.traffic.failed, report.traffic.ended, report.traffic_before.ended) == (0,) * 4


def test_mailing_that_ended_this_morning_gives_what_it_sent_yesterday(world: World) -> None:
    counted(world, stored(world, 100, finished_at=DAY.ends_at + HOUR), sent=5, failed=1)
    traffic = gathered(world).traffic
    assert (traffic.sent, traffic.failed, traffic.ended) == (5, 0, 0)


def test_new_mailings_are_those_made_on_the_day(world: World) -> None:
    for number, created_at in enumerate((DAY.before.begins_at - MINUTE, NOON - 24 * HOUR, DAY.begins_at, NOON)):
        stored(world, 100 + number, MailingStatus.DRAFT, created_at=created_at, started_at=None)
    stored(world, 110, MailingStatus.DRAFT, created_at=DAY.ends_at, started_at=None)
    report = gathered(world)
    assert (report.traffic.created, report.traffic_before.created) == (2, 1)


def test_most_important_mailings_are_listed_and_the_rest_counted(world: World) -> None:
    for number in range(25):
        counted(world, stored(world, 100 + number), sent=number)
    report = gathered(world)
    assert [each.counts.sent for each in report.ended] == list(range(24, 4, -1))
    assert report.traffic.ended == 25


def test_of_too_many_mailings_the_latest_are_counted_and_the_others_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather_report, "COUNTED", 2)
    for number in range(3):
        counted(world, stored(world, 100 + number, start_at=NOON + number * MINUTE), sent=10**number)
    report = gathered(world)
    assert (report.traffic.sent, report.uncounted) == (110, 1)


def test_search_for_mailings_is_bounded_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_report, "PAGE", 2)
    monkeypatch.setattr(gather_report, "LOOKED_THROUGH", 4)
    for number in range(5):
        counted(world, stored(world, 100 + number, created_at=NOON), sent=1)
    report = gathered(world)
    assert (report.traffic.sent, report.traffic.created) == (4, 4)
    assert report.gaps == {Gap.MAILINGS, Gap.CREATED}


def test_pages_of_mailings_are_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_report, "PAGE", 2)
    for number in range(5):
        counted(world, stored(world, 100 + number), sent=1)
    report = gathered(world)
    assert (report.traffic.sent, report.gaps) == (5, frozenset())


def test_mailing_that_cannot_be_read_is_told_of_and_the_others_counted(world: World) -> None:
    for number in range(3):
        counted(world, stored(world, 100 + number), sent=1)
    report = gathered(world, counters=watched(world.messages, failing(NO), "totals"))
    assert (report.traffic.sent, report.uncounted, report.gaps) == (2, 1, frozenset())


def test_when_the_time_is_over_the_rest_is_not_counted(world: World) -> None:
    counted(world, stored(world, 100), sent=1)
    report = gathered(world, time=timedelta())
    assert (report.traffic.sent, report.uncounted) == (0, 1)


def test_what_does_not_answer_leaves_a_gap_and_the_rest_is_told(world: World) -> None:
    counted(world, stored(world, 100), sent=1)
    no_dead = watched(FakeDeadLetters(world.clock), failing(NO), "waiting")
    report = gathered(world, dead=no_dead, logs=FakeLogs(error=NO))
    assert (report.traffic.sent, report.check, report.dead_letters) == (1, None, {})
    assert report.gaps == {Gap.CHECK, Gap.DEAD_LETTERS}
    report = gathered(world, mailings=watched(world.mailings, failing(NO, times=9), "page"))
    assert report.gaps == {Gap.MAILINGS, Gap.CREATED}
    assert report.check is not None


def test_latest_check_is_told_with_the_mailings_that_drift(world: World) -> None:
    logs = FakeLogs(
        [line(NOON - HOUR, "counters drift", mailing_id="01OLD"), checked(NOON - HOUR, drift=1)],
        [
            line(NOON, "counters not checked", mailing_id="01BUSY"),
            line(NOON, "counters drift", mailing_id="01DRIFTS"),
            checked(NOON, drift=1, busy=1),
            line(NOON + HOUR, "counters recounted", mailing_id="01DRIFTS"),
        ],
    )
    report = gathered(world, logs=logs)
    assert report.check == NightlyCheck(NOON, {"right": 3, "drift": 1, "busy": 1}, ["01DRIFTS"])
    assert logs.asked == [("drift-check", ["counters "], world.clock() - timedelta(hours=25))]


@pytest.mark.parametrize("logs", [FakeLogs(), FakeLogs(error=NotFoundError("no such log"))])
def test_check_that_never_ran_is_none_and_no_gap(world: World, logs: FakeLogs) -> None:
    report = gathered(world, logs=logs)
    assert (report.check, report.gaps) == (None, frozenset())


def test_dead_letters_are_counted_by_queue(world: World) -> None:
    dead = FakeDeadLetters(world.clock)
    dead.add(DeadQueue.SEND, "garbage")
    assert gathered(world, dead=dead).dead_letters == dict.fromkeys(DeadQueue, 0) | {DeadQueue.SEND: 1}
