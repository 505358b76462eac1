from collections.abc import Sequence
from datetime import timedelta

import pytest

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message, Status
from chalicelib.errors import TransientError
from chalicelib.services import look_again
from chalicelib.services.look_again import LookAgain
from chalicelib.services.manage_clients import ManageClients
from tests.builders import NOW, client, mailing, message, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.message_lists import FakeMessageLists
from tests.fakes.messages import FakeMessageRepository
from tests.fakes.queues import FakeTicketQueue

CLIENT = client()
LARGE = mailing(id=ulid(201), status=MailingStatus.RUNNING)
SMALL = mailing(id=ulid(202), status=MailingStatus.RUNNING, express=True)


class FullQueue(FakeTicketQueue):
    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        del mailing, tickets
        raise TransientError("no queue")


def looking(queue: FakeTicketQueue, *rows: Message) -> LookAgain:
    mailings = FakeMailingRepository()
    for known in (LARGE, SMALL):
        mailings.create(known)
    return LookAgain(FakeMessageLists(*rows), FakeMessageRepository(*rows), mailings, queue)


def row(number: int, of: Mailing, **changes: object) -> Message:
    return message(id=number, client_id=CLIENT.id, mailing_id=of.id, **changes)


def queued(queue: FakeTicketQueue) -> list[tuple[str, list[int], bool]]:
    return sorted((each.ticket.mailing_id, each.ticket.message_ids, each.express) for each in queue.messages)


def test_open_messages_of_each_mailing_get_a_ticket_in_its_queue() -> None:
    queue = FakeTicketQueue(FakeClock())
    look = looking(
        queue, row(1, LARGE), row(2, SMALL), row(3, LARGE, status=Status.SENT), message(id=4, client_id=ulid(9))
    )

    assert look(CLIENT.id) == 2

    assert queued(queue) == [(LARGE.id, [1], False), (SMALL.id, [2], True)]


def test_messages_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_again, "PAGE", 2)
    queue = FakeTicketQueue(FakeClock())

    assert looking(queue, *(row(n, LARGE) for n in range(1, 6)))(CLIENT.id) == 5

    assert [ids for _, ids, _ in queued(queue)] == [[1, 2], [3, 4], [5]]


def test_beyond_many_pages_messages_wait_for_their_own_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_again, "PAGE", 1)
    monkeypatch.setattr(look_again, "MAX_PAGES", 2)

    assert looking(FakeTicketQueue(FakeClock()), *(row(n, LARGE) for n in range(1, 6)))(CLIENT.id) == 2


def test_messages_of_a_mailing_that_aged_out_are_left() -> None:
    assert looking(FakeTicketQueue(FakeClock()), row(1, mailing(id=ulid(203))))(CLIENT.id) == 0


def test_a_client_is_deleted_although_its_messages_cannot_be_looked_at() -> None:
    clients = FakeClientRepository()
    clients.create(CLIENT)
    look = looking(FullQueue(FakeClock()), row(1, LARGE))

    ManageClients(clients, clients, look, clock=lambda: NOW, new_id=lambda: ulid(1)).delete(CLIENT.id)

    assert clients.get(CLIENT.id) is None
