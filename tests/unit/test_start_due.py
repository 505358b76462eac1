from datetime import timedelta

from chalicelib.domain.mailing import MailingStatus
from tests.builders import NOW, mailing, ulid
from tests.world import World

DUE = mailing(start_at=NOW)
LONG_DUE = mailing(id=ulid(101), start_at=NOW - timedelta(days=1))
FUTURE = mailing(id=ulid(102), start_at=NOW + timedelta(milliseconds=1))
RUNNING = mailing(id=ulid(103), status=MailingStatus.RUNNING)


def world() -> World:
    made = World()
    for one in (DUE, LONG_DUE, FUTURE, RUNNING):
        made.mailings.create(one)
    return made


def test_mailings_whose_time_has_come_are_started_earliest_first() -> None:
    made = world()
    assert made.dispatcher().start_due() == [LONG_DUE.id, DUE.id]
    assert made.scheduler.started == [LONG_DUE.id, DUE.id]


def test_what_cannot_be_started_now_is_found_again() -> None:
    made = world()
    made.scheduler.down = True
    assert made.dispatcher().start_due() == [LONG_DUE.id, DUE.id]
    made.scheduler.down = False
    assert made.dispatcher().start_due() == [LONG_DUE.id, DUE.id]
    assert made.scheduler.started == [LONG_DUE.id, DUE.id]
