from collections.abc import Sequence
from datetime import timedelta

import pytest

from chalicelib.domain.breaker import Cause, opened
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Message, Status
from chalicelib.errors import TransientError
from chalicelib.services import follow_client
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.watched import Moment, failing
from tests.world import BREAKER_POLICY, World, clients

LARGE = mailing(id=ulid(201), status=MailingStatus.RUNNING, planned_at=NOW)
SMALL = mailing(id=ulid(202), status=MailingStatus.PAUSED, planned_at=NOW)
LEASE = timedelta(seconds=30)


def world() -> World:
    made = World()
    made.add_clients(clients(2))
    for known in (LARGE, SMALL):
        made.mailings.create(known)
    return made


def add(made: World, *rows: Message) -> None:
    for one in rows:
        made.messages.add(one)


def row(number: int, mailing_id: str = LARGE.id, client_number: int = 1, **changes: object) -> Message:
    return message(id=number, client_id=ulid(client_number), mailing_id=mailing_id, **changes)


def statuses(made: World) -> Sequence[Status]:
    return [made.messages.stored[id_].status for id_ in sorted(made.messages.stored)]


def test_open_messages_of_a_deleted_client_are_cancelled_while_the_provider_is_down() -> None:
    made = world()
    add(made, row(1), row(2, SMALL.id), row(3, client_number=2))
    made.control_items.stored = opened(made.control_items.stored, Cause.OUTAGE, NOW, BREAKER_POLICY)

    made.manage_clients().delete(ulid(1))

    assert statuses(made) == [Status.CANCELLED, Status.CANCELLED, Status.QUEUED]
    assert made.messages.totals(SMALL.id).counts["cancelled"] == 1


def test_mailing_without_another_open_message_is_finished() -> None:
    made = world()
    add(made, row(1), row(2, SMALL.id, client_number=2))

    made.manage_clients().delete(ulid(1))

    after = {known.id: known.status for known in made.mailings.stored.values()}
    assert after == {LARGE.id: MailingStatus.FINISHED, SMALL.id: MailingStatus.PAUSED}


def test_ended_messages_and_those_in_a_senders_hands_are_left() -> None:
    made = world()
    add(made, row(1, status=Status.SENT), row(2, lease_until=NOW + LEASE, leases=1), row(3, lease_until=NOW))

    made.manage_clients().delete(ulid(1))

    assert statuses(made) == [Status.SENT, Status.QUEUED, Status.CANCELLED]


def test_messages_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_client, "PAGE", 2)
    made = world()
    add(made, *(row(n) for n in range(1, 6)))

    made.manage_clients().delete(ulid(1))

    assert set(statuses(made)) == {Status.CANCELLED}


def test_beyond_many_pages_messages_wait_for_their_own_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_client, "PAGE", 1)
    monkeypatch.setattr(follow_client, "MAX_PAGES", 2)
    made = world()
    add(made, *(row(n) for n in range(1, 6)))

    made.manage_clients().delete(ulid(1))

    assert statuses(made) == [Status.CANCELLED] * 2 + [Status.QUEUED] * 3


def test_messages_of_a_mailing_that_aged_out_are_left() -> None:
    made = world()
    add(made, row(1, ulid(203)))

    made.manage_clients().delete(ulid(1))

    assert statuses(made) == [Status.QUEUED]


@pytest.mark.parametrize(
    ("moment", "left"), [(Moment.BEFORE, Status.QUEUED), (Moment.AFTER, Status.CANCELLED)], ids=str
)
def test_a_client_is_deleted_although_its_messages_cannot_be_written(moment: Moment, left: Status) -> None:
    made = world()
    add(made, row(1))
    made.hook = failing(TransientError("throttled"), moment=moment)

    made.manage_clients().delete(ulid(1))

    assert made.clients.get(ulid(1)) is None
    assert statuses(made) == [left]
    made.hook = None
    made.tickets.send_messages(LARGE, [([1], timedelta())])
    made.send_waiting()
    assert statuses(made) == [Status.CANCELLED], "on its own turn"
