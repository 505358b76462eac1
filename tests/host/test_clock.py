import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.mailing import Mailing
from chalicelib.errors import TransientError
from infra.host.calls import Call
from infra.host.clock import AGAIN_AFTER, PLANNERS, StartingMailings, Ticking, loops_of_clock, scheduled_event
from infra.host.functions import functions
from infra.host.schedule import Schedule
from tests.builders import mailing, ulid
from tests.fakes.mailings import FakeMailingRepository

NIGHT = datetime(2026, 11, 23, 2, 59, 58, tzinfo=UTC)


class FakeCalls:
    """Calls of no function: each event that one would get, and when; `takes` is how long a call lasts."""

    def __init__(self, now: Callable[[], datetime] = lambda: NIGHT) -> None:
        self.events: list[tuple[datetime, Any]] = []
        self.pending: list[Callable[[Call], None]] = []
        self.takes: list[timedelta] = []
        self.at_once = True
        self.ended = False
        self._now = now
        self.advance: Callable[[timedelta], None] = lambda _: None

    def wait_for_room(self, _seconds: float) -> bool:
        return True

    def begin(self, work: Callable[[Call], None]) -> None:
        self.pending.append(work)
        if self.at_once:
            self.finish()

    def finish(self) -> None:
        for work in self.pending:
            work(self._call)
        self.pending.clear()

    def end(self) -> None:
        self.ended = True

    def _call(self, event: object) -> None:
        self.events.append((self._now(), event))
        if self.takes:
            self.advance(self.takes.pop(0))


class Stopping:
    """An event that is set at a time; waiting for it moves the clock."""

    def __init__(self, start: datetime, lasts: timedelta) -> None:
        self.moment, self._end = start, start + lasts

    def now(self) -> datetime:
        return self.moment

    def advance(self, by: timedelta) -> None:
        self.moment += by

    def is_set(self) -> bool:
        return self.moment >= self._end

    def wait(self, seconds: float) -> bool:
        self.moment += timedelta(seconds=max(seconds, 0.001))
        return self.is_set()


def ticked(expression: str, lasts: timedelta, *, start: datetime = NIGHT, takes: Sequence[timedelta] = ()) -> list[str]:
    stopping = Stopping(start, lasts)
    calls = FakeCalls(stopping.now)
    calls.takes, calls.advance = list(takes), stopping.advance
    Ticking(Schedule.of(expression), calls, stopping.now)(stopping)  # type: ignore[arg-type]
    assert calls.ended
    return [f"{moment:%d %H:%M:%S}" for moment, _ in calls.events]


def test_a_period_begins_at_once() -> None:
    assert ticked("rate(1 minute)", timedelta(minutes=3)) == ["23 02:59:58", "23 03:00:58", "23 03:01:58"]


def test_cron_waits_for_its_time() -> None:
    assert ticked("cron(0 3 * * ? *)", timedelta(days=2)) == ["23 03:00:00", "24 03:00:00"]


def test_a_time_that_passed_before_the_clock_ran_is_left_alone() -> None:
    start = NIGHT + timedelta(minutes=5)

    assert ticked("cron(0 3 * * ? *)", timedelta(hours=20), start=start) == []


@pytest.mark.parametrize("held_up", [timedelta(minutes=20), timedelta(hours=5)])
def test_times_that_pass_in_a_call_are_made_up_for_by_one(held_up: timedelta) -> None:
    times = ticked("cron(0/15 * * * ? *)", held_up + timedelta(minutes=30), takes=[held_up])

    assert times[0] == "23 03:00:00"
    made_up = datetime(2026, 11, 23, 3, tzinfo=UTC) + held_up
    assert times[1].startswith(f"{made_up:%d %H:%M}")
    assert all(time.endswith(":00") and int(time[6:8]) % 15 == 0 for time in times[2:])


def test_a_slow_call_is_followed_by_one_and_then_by_the_period() -> None:
    times = ticked("rate(1 minute)", timedelta(minutes=6), takes=[timedelta(minutes=3, seconds=10)])

    assert times[:3] == ["23 02:59:58", "23 03:03:08", "23 03:04:08"]


def test_event_is_that_of_a_schedule() -> None:
    event = scheduled_event(NIGHT)

    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert event["time"] == "2026-11-23T02:59:58Z"


DUE = mailing(id=ulid(1), start_at=NIGHT - timedelta(seconds=1))
OTHER = mailing(id=ulid(2), start_at=NIGHT - timedelta(seconds=1))


def starting(found: Callable[[], Sequence[Mailing]], lasts: timedelta, calls: FakeCalls | None = None) -> list[Any]:
    stopping = Stopping(NIGHT, lasts)
    calls = calls or FakeCalls()
    calls._now = stopping.now
    StartingMailings(found, calls, stopping.now)(stopping)  # type: ignore[arg-type]
    assert calls.ended
    return [(event["mailing_id"], (moment - NIGHT).total_seconds()) for moment, event in calls.events]


def test_each_mailing_that_is_due_is_given_to_the_planner() -> None:
    assert starting(lambda: [DUE, OTHER], timedelta(seconds=3)) == [(DUE.id, 1), (OTHER.id, 1)]


def test_mailing_is_left_alone_for_a_while_and_called_again_if_its_row_still_asks_for_it() -> None:
    times = [at for _, at in starting(lambda: [DUE], 2.5 * AGAIN_AFTER)]

    assert times == [1, 11, 21]


def test_mailing_is_not_called_while_it_is_being_planned() -> None:
    calls = FakeCalls()
    calls.at_once = False

    starting(lambda: [DUE], 3 * AGAIN_AFTER, calls)

    assert len(calls.pending) == 1


def test_what_waits_when_it_is_told_to_stop_is_left_to_the_next_clock() -> None:
    calls = FakeCalls()
    calls.at_once = False
    stopping = Stopping(NIGHT, timedelta(seconds=3))
    StartingMailings(lambda: [DUE], calls, stopping.now)(stopping)  # type: ignore[arg-type]

    calls.finish()

    assert calls.events == []


def test_rows_that_cannot_be_read_are_read_again_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    def shortest(low: float, high: float) -> float:
        pauses.append(high)
        return low

    monkeypatch.setattr(random, "uniform", shortest)
    answers = iter([TransientError("no"), TransientError("no"), TransientError("no"), [DUE]])

    def found() -> Sequence[Mailing]:
        answer = next(answers, [])
        if isinstance(answer, TransientError):
            raise answer
        return answer  # type: ignore[return-value]

    assert starting(found, timedelta(seconds=8)) == [(DUE.id, 4)]
    assert pauses == [2, 4, 8]
    assert [record.message for record in caplog.records] == ["mailings not looked for, again soon"]


def test_clock_is_made_of_the_template_s_schedules_and_of_what_starts_mailings() -> None:
    wanted = [functions()[name] for name in ("planner", "dispatcher", "drift-check", "daily-report")]
    mailings = FakeMailingRepository(DUE)
    threads_before = threading.active_count()

    *ticking, last = loops_of_clock(wanted, mailings, lambda *_: None)

    assert [one.schedule.cron for one in ticking if isinstance(one, Ticking)] == ["", "0 3 * * *", "0-59/15 * * * *"]
    assert isinstance(last, StartingMailings)
    assert list(last.due()) == [DUE]
    assert len(last.calls._processes) == PLANNERS
    assert threading.active_count() <= threads_before
