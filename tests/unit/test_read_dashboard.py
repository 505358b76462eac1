from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.errors import TransientError
from chalicelib.services.read_dashboard import Dashboard, ReadDashboard
from chalicelib.services.read_statistics import Counts
from tests.builders import NOW, mailing, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.watched import failing, watched
from tests.world import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MIDNIGHT = NOW - 6 * HOUR


@pytest.fixture
def world() -> World:
    return World()


def stored(world: World, number: int, status: MailingStatus, **changes: object) -> Mailing:
    given: dict[str, object] = {"planned_at": NOW, "started_at": NOW - HOUR, "updated_at": NOW} | changes
    made = mailing(id=ulid(number), status=status, **given)
    world.mailings.create(made)
    return made


def counted(world: World, made: Mailing, **counts: int) -> None:
    world.messages.counts[made.id] = Counter(counts)


def looked_at(world: World, dead: FakeDeadLetters | None = None) -> Dashboard:
    read = ReadDashboard(
        world.mailings, world.messages, world.tickets, dead or FakeDeadLetters(world.clock), world.clock
    )
    return read(MIDNIGHT)


def test_running_and_paused_mailings_have_their_counts_rate_and_estimate(world: World) -> None:
    made = stored(world, 100, MailingStatus.RUNNING)
    paused = stored(world, 101, MailingStatus.PAUSED)
    counted(world, made, sent=120, queued=50, deferred=10, failed=3)
    counted(world, paused, sent=60, deferred=10)
    sent = {world.clock() - MINUTE: Counter(sent=120)}
    world.messages.minutes |= {made.id: sent, paused.id: sent}
    running = {each.mailing.id: each for each in looked_at(world).running}
    assert running.keys() == {made.id, paused.id}
    assert running[made.id].counts == Counts(sent=120, queued=50, deferred=10, failed=3)
    assert running[made.id].per_second == 1.0
    assert running[made.id].through_at == world.clock() + MINUTE
    assert (running[paused.id].per_second, running[paused.id].through_at) == (0, None)


def test_no_end_is_estimated_while_rows_are_still_planned(world: World) -> None:
    made = stored(world, 100, MailingStatus.RUNNING, planned_at=None)
    world.messages.minutes[made.id] = {world.clock(): Counter(sent=120)}
    (running,) = looked_at(world).running
    assert running.per_second
    assert running.through_at is None


def test_today_is_what_was_sent_since_midnight_whenever_its_mailing_started(world: World) -> None:
    new = stored(world, 100, MailingStatus.FINISHED)
    old = stored(world, 101, MailingStatus.RUNNING, started_at=MIDNIGHT - HOUR)
    past = stored(world, 102, MailingStatus.FINISHED, updated_at=MIDNIGHT - HOUR, started_at=MIDNIGHT - 2 * HOUR)
    stopped = stored(world, 103, MailingStatus.CANCELLED, started_at=None)
    counted(world, new, sent=10, failed=1)
    counted(world, old, sent=500, failed=2)
    counted(world, past, sent=7000, failed=9)
    counted(world, stopped, cancelled=5)
    world.messages.minutes[old.id] = {MIDNIGHT - MINUTE: Counter(sent=400), MIDNIGHT: Counter(sent=100)}
    seen = looked_at(world)
    assert (seen.sent, seen.failed) == (110, 3)
    assert [each.mailing.id for each in seen.running] == [old.id]


def test_tests_are_left_out(world: World) -> None:
    made = stored(world, 100, MailingStatus.RUNNING, test_of=ulid(5))
    counted(world, made, sent=1)
    seen = looked_at(world)
    assert (seen.running, seen.sent) == ([], 0)


def test_next_mailings_and_what_waits_are_told(world: World) -> None:
    soon = stored(world, 100, MailingStatus.SCHEDULED, start_at=NOW + HOUR, started_at=None)
    world.tickets.send_messages(soon, [([1], timedelta()), ([2], MINUTE)])
    world.tickets.send_messages(replace(soon, express=True), [([3], timedelta())])
    world.tickets.send_segments(soon.id, ["plan#00"])
    world.tickets.send_import(ulid(200))
    dead = FakeDeadLetters(world.clock)
    dead.add(DeadQueue.EXPRESS, "garbage")
    seen = looked_at(world, dead)
    assert [each.id for each in seen.upcoming] == [soon.id]
    assert seen.queues == {"send": 2, "express": 1, "plan": 1, "import": 1}
    assert seen.dead_letters == dict.fromkeys(DeadQueue, 0) | {DeadQueue.EXPRESS: 1}


def test_queues_that_do_not_answer_leave_the_rest_to_be_seen(world: World) -> None:
    made = stored(world, 100, MailingStatus.RUNNING)
    dead = watched(FakeDeadLetters(world.clock), failing(TransientError("no")), "waiting")
    seen = looked_at(world, dead)
    assert seen.dead_letters is None
    assert seen.queues is not None
    assert [each.mailing.id for each in seen.running] == [made.id]
