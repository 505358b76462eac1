import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.breaker import Cause, opened
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.figures import DriftCheck, Record, Watch
from chalicelib.domain.mailing import MailingStatus
from chalicelib.errors import TransientError
from chalicelib.services.tell_figures import TellFigures
from tests.builders import NOW, mailing
from tests.fakes.dead_letters import FakeDeadLetters
from tests.log_lines import log_lines
from tests.world import BREAKER_POLICY, World

MINUTE = timedelta(minutes=1)
Told = dict[tuple[tuple[str, str], ...], dict[str, float]]


@pytest.fixture
def world() -> World:
    return World()


def told(world: World, dead: FakeDeadLetters | None = None) -> Told:
    """Let a minute tell its figures: values by dimensions."""
    said: Told = {}

    def measure(values: Mapping[str, float], **dimensions: str) -> None:
        said.setdefault(tuple(dimensions.items()), {}).update(values)

    TellFigures(world.read_figures(dead), world.figures, measure)()
    return said


def test_a_minute_in_which_nothing_is_tells_how_it_stands(world: World) -> None:
    assert told(world) == {
        (): {
            "DispatcherMinutes": 1,
            "RunningMailings": 0,
            "OverdueSeconds": 0,
            "UnplannedSeconds": 0,
            "OpenSegments": 0,
            "BreakerOpenSeconds": 0,
            "Attempts": 0,
        }
    }
    assert world.figures.stored.watch == Watch(NOW)


def test_a_minute_tells_what_alarms_stand_on(world: World) -> None:
    world.mailings.create(mailing(status=MailingStatus.SCHEDULED, start_at=NOW - 7 * MINUTE))
    world.control_items.stored = replace(
        opened(world.control_items.stored, Cause.OUTAGE, NOW - 16 * MINUTE, BREAKER_POLICY), probe_at=NOW + MINUTE
    )
    world.figures.stored = Record(
        token_expires_at=NOW + timedelta(days=2), drift=DriftCheck(NOW - 60 * MINUTE, 4, {"drift": 1})
    )
    standing = told(world)[()]
    assert standing["OverdueSeconds"] == 420
    assert standing["BreakerOpenSeconds"] == 960
    assert standing["TokenExpiresInSeconds"] == 172_800
    assert (standing["DriftAtLastCheck"], standing["DriftCheckAgeSeconds"]) == (4, 3600)


def test_queues_and_statuses_are_told_by_name_where_there_is_something(world: World) -> None:
    made = mailing(status=MailingStatus.RUNNING, planned_at=NOW)
    world.mailings.create(made)
    world.messages.counts[made.id] = Counter(sent=3, failed=1)
    world.tickets.send_messages(made, [([1], timedelta()), ([2], MINUTE)])
    world.figures.stored = Record(watch=Watch(NOW - MINUTE, {"send": NOW - 5 * MINUTE, "dead.plan": NOW - 9 * MINUTE}))
    dead = FakeDeadLetters(world.clock)
    dead.add(DeadQueue.PLAN, "garbage")
    said = told(world, dead)
    assert said.pop(())["RunningMailings"] == 1
    assert said == {
        (("queue", "send"),): {"Tickets": 2, "TicketAgeSeconds": 300},
        (("queue", "plan"),): {"DeadLetters": 1, "DeadLetterAgeSeconds": 540},
        (("status", "sent"),): {"Messages": 3},
        (("status", "failed"),): {"Messages": 1},
    }


def test_what_was_counted_is_told_once(world: World) -> None:
    counts = Counter({"call.0.05": 2, "call_ms": 70, "answer.accepted.200": 1, "answer.busy.503": 1, "attempts": 2})
    world.figures.stored = Record(counts, watch=Watch(NOW - MINUTE))
    world.figures.stored.counts["put_off.retry"] = 1
    world.figures.stored.counts["scrape_error.queues"] = 1
    said = told(world)
    assert said[()].items() >= {"ProviderCalls": 2, "ProviderCallSeconds": 0.035, "Attempts": 2}.items()
    assert said[("kind", "accepted"),] == said[("kind", "busy"),] == {"ProviderAnswers": 1}
    assert said[("reason", "retry"),] == {"PutOffs": 1}
    assert said[("source", "queues"),] == {"ScrapeErrors": 1}
    assert len(said) == 5
    again = told(world)
    assert again.keys() == {()}
    assert "ProviderCalls" not in again[()]


def test_a_minute_that_cannot_be_kept_leaves_its_counts_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.figures.stored = Record(Counter(attempts=2), watch=Watch(NOW - MINUTE))

    def throttled(_watch: Watch) -> None:
        raise TransientError("throttled")

    with monkeypatch.context() as patch, log_lines(logging.WARNING) as lines:
        patch.setattr(world.figures, "save_watch", throttled)
        assert "Attempts" not in told(world)[()]
    assert [line.message for line in lines] == ["minute not kept"]
    assert told(world)[()]["Attempts"] == 2


def test_what_is_unknown_is_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(*_arguments: object) -> None:
        raise TransientError("throttled")

    for part, method in (
        (world.figures, "read"),
        (world.mailings, "page"),
        (world.control_items, "breaker"),
        (world.tickets, "depths"),
    ):
        monkeypatch.setattr(part, method, throttled)
    dead = FakeDeadLetters(world.clock)
    monkeypatch.setattr(dead, "waiting", throttled)
    assert told(world, dead) == {(): {"DispatcherMinutes": 1}}
