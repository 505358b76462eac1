import logging
from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.figures import Rest
from chalicelib.domain.mailing import MailingStatus
from chalicelib.errors import TransientError
from chalicelib.services import count_rest
from tests.builders import NOW, mailing, ulid
from tests.log_lines import log_lines
from tests.world import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NONE = {"queued": 0, "deferred": 0, "sent": 0, "failed": 0, "expired": 0, "cancelled": 0}
LATER = NOW + HOUR


@pytest.fixture
def world() -> World:
    made = World()
    ended: list[tuple[MailingStatus, dict[str, object]]] = [
        (MailingStatus.FINISHED, {"finished_at": NOW - 25 * HOUR}),
        (MailingStatus.FINISHED, {"finished_at": NOW - 300 * DAY}),
        (MailingStatus.CANCELLED, {"updated_at": NOW - 25 * HOUR}),
        (MailingStatus.FINISHED, {"finished_at": NOW - 23 * HOUR}),
        (MailingStatus.CANCELLED, {"updated_at": NOW - HOUR}),
        (MailingStatus.RUNNING, {"updated_at": NOW - 25 * HOUR}),
        (MailingStatus.DELETED, {"updated_at": NOW - 25 * HOUR}),
        (MailingStatus.FINISHED, {"finished_at": NOW - 25 * HOUR, "test_of": ulid(1)}),
    ]
    for number, (status, changes) in enumerate(ended):
        one = mailing(id=ulid(100 + number), status=status, **changes)
        made.mailings.create(one)
        made.messages.counts[one.id] = Counter(sent=10**number, attempts=7)
    return made


def test_messages_of_mailings_that_ended_before_yesterday_are_counted(world: World) -> None:
    world.count_rest()(LATER)
    assert world.figures.stored.rest == Rest(NOW - DAY, NONE | {"sent": 111})


def test_all_pages_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_rest, "PAGE", 2)
    world.count_rest()(LATER)
    assert world.figures.stored.rest == Rest(NOW - DAY, NONE | {"sent": 111})


def test_a_count_that_takes_too_long_is_not_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_rest, "PAGE", 2)
    with log_lines(logging.WARNING) as lines:
        world.count_rest()(NOW)
    assert world.figures.stored.rest is None
    assert [line.message for line in lines] == ["mailings of long ago not counted: the time was over"]


def test_a_count_that_fails_leaves_the_last_one(world: World) -> None:
    world.count_rest()(LATER)
    world.clock.advance(DAY)
    world.figures.error = TransientError("throttled")
    with log_lines(logging.WARNING) as lines:
        world.count_rest()(LATER + DAY)
    assert world.figures.stored.rest == Rest(NOW - DAY, NONE | {"sent": 111})
    assert [line.message for line in lines] == ["mailings of long ago not counted"]
