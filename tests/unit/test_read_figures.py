import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.figures import (
    OTHER,
    DriftCheck,
    Figures,
    MailingFigures,
    Planning,
    QueueDepth,
    Record,
    Rest,
    Source,
    Watch,
)
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.segment import Segment
from chalicelib.errors import TransientError
from chalicelib.services import read_figures
from tests.builders import NOW, mailing, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.log_lines import log_lines
from tests.world import World

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NONE = {"queued": 0, "deferred": 0, "sent": 0, "failed": 0, "expired": 0, "cancelled": 0}
THROTTLED = TransientError("throttled")


@pytest.fixture
def world() -> World:
    return World()


def stored(world: World, number: int, status: MailingStatus, counts: dict[str, int], **changes: object) -> Mailing:
    given: dict[str, object] = {"planned_at": NOW, "started_at": NOW - HOUR, "start_at": NOW - HOUR} | changes
    made = mailing(id=ulid(number), status=status, **given)
    world.mailings.create(made)
    world.messages.counts[made.id] = Counter(counts)
    return made


def rest_of(world: World, ended_before: timedelta, **messages: int) -> None:
    world.figures.stored = Record(rest=Rest(NOW - ended_before, NONE | messages))


def test_of_nothing_everything_is_nought(world: World) -> None:
    seen = world.read_figures()()
    assert seen == Figures(
        at=NOW,
        unknown=frozenset(),
        unwritten=Counter(),
        record=Record(),
        mailings=MailingFigures(),
        messages={OTHER: NONE},
        planning=Planning(0, 0),
        breaker=world.control_items.stored,
        queues=dict.fromkeys(("send", "express", "plan", "import"), QueueDepth()),
        dead_letters=dict.fromkeys(map(str, DeadQueue), 0),
    )
    assert world.figures.writes == 0


def test_mailings_that_run_or_ended_today_are_told_by_themselves(world: World) -> None:
    running = stored(world, 100, MailingStatus.RUNNING, {"sent": 3, "queued": 2, "attempts": 9})
    paused = stored(world, 101, MailingStatus.PAUSED, {"deferred": 1})
    finished = stored(world, 102, MailingStatus.FINISHED, {"sent": 5}, finished_at=NOW - 23 * HOUR, start_at=NOW - DAY)
    cancelled = stored(world, 103, MailingStatus.CANCELLED, {"cancelled": 7}, updated_at=NOW - HOUR)
    stored(world, 104, MailingStatus.FINISHED, {"sent": 11}, finished_at=NOW - 25 * HOUR, start_at=NOW - 2 * DAY)
    stored(world, 105, MailingStatus.CANCELLED, {"sent": 13}, updated_at=NOW - 25 * HOUR, start_at=NOW - 40 * DAY)
    stored(world, 106, MailingStatus.RUNNING, {"sent": 17}, test_of=ulid(1))
    stored(world, 107, MailingStatus.FINISHED, {"sent": 17}, test_of=ulid(1))
    assert world.read_figures()().messages == {
        running.id: NONE | {"sent": 3, "queued": 2},
        paused.id: NONE | {"deferred": 1},
        finished.id: NONE | {"sent": 5},
        cancelled.id: NONE | {"cancelled": 7},
        OTHER: NONE | {"sent": 24},
    }


def test_what_the_night_has_counted_is_not_counted_again(world: World) -> None:
    rest_of(world, 30 * HOUR, sent=1000, failed=10)
    stored(world, 100, MailingStatus.FINISHED, {"sent": 1}, finished_at=NOW - 25 * HOUR, start_at=NOW - 26 * HOUR)
    stored(world, 101, MailingStatus.FINISHED, {"sent": 400}, finished_at=NOW - 31 * HOUR, start_at=NOW - 40 * HOUR)
    stored(world, 102, MailingStatus.FINISHED, {"sent": 600}, finished_at=NOW - 9 * DAY, start_at=NOW - 35 * DAY)
    assert world.read_figures()().messages == {OTHER: NONE | {"sent": 1001, "failed": 10}}


def test_no_more_than_a_hundred_are_told_by_themselves_the_latest_first(world: World) -> None:
    made = [
        stored(world, 100 + n, MailingStatus.RUNNING, {"sent": 1}, start_at=NOW - n * MINUTE)
        for n in range(read_figures.LISTED + 5)
    ]
    messages = world.read_figures()().messages
    assert messages is not None
    assert [*messages] == [*(each.id for each in made[: read_figures.LISTED]), OTHER]
    assert messages[OTHER] == NONE | {"sent": 5}


def test_late_mailings_and_those_that_are_being_planned_are_told(world: World) -> None:
    stored(world, 100, MailingStatus.SCHEDULED, {}, start_at=NOW - 5 * MINUTE, started_at=None)
    stored(world, 101, MailingStatus.SCHEDULED, {}, start_at=NOW - 3 * MINUTE, started_at=None)
    stored(world, 102, MailingStatus.SCHEDULED, {}, start_at=NOW - MINUTE, started_at=None)
    planning = stored(world, 103, MailingStatus.RUNNING, {}, planned_at=None, started_at=NOW - 2 * MINUTE)
    planned = stored(world, 104, MailingStatus.PAUSED, {})
    for made, segment, due_at in (
        (planning, "plan#00", None),
        (planning, "plan#01", NOW),
        (planning, "plan#02", NOW),
        (planning, "follow#00", NOW),
        (planned, "plan#00", None),
    ):
        world.segments.stored[made.id, segment] = Segment(made.id, segment, (), due_at=due_at)
    seen = world.read_figures()()
    assert seen.mailings == MailingFigures(
        running=1,
        paused=1,
        overdue=2,
        overdue_since=NOW - 5 * MINUTE,
        unplanned=1,
        unplanned_since=NOW - 2 * MINUTE,
    )
    assert seen.planning == Planning(open=2, done=1)


def test_a_mailing_without_the_moment_of_its_start_was_unplanned_since_it_was_due(world: World) -> None:
    stored(world, 100, MailingStatus.RUNNING, {}, planned_at=None, started_at=None)
    seen = world.read_figures()().mailings
    assert seen is not None
    assert seen.unplanned_since == NOW - HOUR


def test_queues_and_dead_letters_are_counted(world: World) -> None:
    made = mailing()
    world.tickets.send_messages(made, [([1], timedelta()), ([2], MINUTE)])
    world.tickets.send_segments(made.id, ["plan#00"])
    dead = FakeDeadLetters(world.clock)
    dead.add(DeadQueue.EXPRESS, "garbage")
    seen = world.read_figures(dead)()
    assert seen.queues is not None
    assert (seen.queues["send"], seen.queues["plan"]) == (QueueDepth(1, 1), QueueDepth(1))
    assert seen.dead_letters == dict.fromkeys(map(str, DeadQueue), 0) | {"express": 1}


def fails(*_arguments: object) -> Any:  # noqa: ANN401 - whatever the method returns
    raise THROTTLED


BROKEN: dict[Source, tuple[Callable[[World], object], str]] = {
    Source.RECORD: (lambda world: world.figures, "read"),
    Source.MAILINGS: (lambda world: world.mailings, "page"),
    Source.MESSAGES: (lambda world: world.messages, "totals"),
    Source.PLANNING: (lambda world: world.segments, "of_mailing"),
    Source.BREAKER: (lambda world: world.control_items, "breaker"),
    Source.QUEUES: (lambda world: world.tickets, "depths"),
}
WITHOUT = {Source.MAILINGS: {Source.MAILINGS, Source.MESSAGES, Source.PLANNING}}


@pytest.mark.parametrize("source", Source)
def test_a_source_that_cannot_be_read_takes_nothing_else_with_it(
    world: World, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(world, 100, MailingStatus.RUNNING, {"sent": 3}, planned_at=None)
    dead = FakeDeadLetters(world.clock)
    broken, method = (
        (dead, "waiting") if source is Source.DEAD_LETTERS else (BROKEN[source][0](world), BROKEN[source][1])
    )
    monkeypatch.setattr(broken, method, fails)
    with log_lines(logging.WARNING) as lines:
        seen = world.read_figures(dead)()
    assert seen.unknown == WITHOUT.get(source, {source})
    assert {each for each in Source if getattr(seen, each.value) is None} == seen.unknown
    assert [(line.message, vars(line)["source"], line.exc_info) for line in lines] == [
        ("figures not read", source.value, None)
    ]
    assert seen.errors() == dict.fromkeys(map(str, Source), 0) | {source.value: 1}
    assert world.figures.stored.counts == Counter({f"scrape_error.{source.value}": 1})


def test_without_the_record_the_mailings_of_today_are_told_and_no_sum(world: World) -> None:
    made = stored(world, 100, MailingStatus.FINISHED, {"sent": 3}, finished_at=NOW - HOUR)
    stored(world, 101, MailingStatus.FINISHED, {"sent": 3}, finished_at=NOW - 25 * HOUR, start_at=NOW - 26 * HOUR)
    world.figures.error = THROTTLED
    assert world.read_figures()().messages == {made.id: NONE | {"sent": 3}}


def test_a_fault_of_ours_is_logged_with_its_cause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(world.tickets, "depths", wrong)
    with log_lines(logging.WARNING) as lines:
        assert world.read_figures()().unknown == {Source.QUEUES}
    assert [line.exc_info[0] for line in lines if line.exc_info] == [ValueError]


def test_a_source_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(world.tickets, "depths", lambda: over.wait(30))
    read = world.read_figures(patience_seconds=0.2)
    try:
        seen = read()
    finally:
        over.set()
    assert seen.unknown == {Source.QUEUES}
    assert seen.errors()["queues"] == 1


def test_what_is_kept_is_handed_on(world: World) -> None:
    world.figures.stored = Record(Counter(attempts=3), {}, NOW, Watch(NOW), DriftCheck(NOW, 4, {"drift": 1}))
    assert world.read_figures()().record == world.figures.stored
