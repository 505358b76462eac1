import pytest

from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Status
from chalicelib.errors import NotFoundError
from chalicelib.services import read_messages
from chalicelib.services.read_messages import MAX_READS, OpenMessages, ReadMessages
from tests.builders import client, mailing, message, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.message_lists import FakeMessageLists
from tests.fakes.messages import FakeMessageRepository

ROWS = [
    message(id=n, client_id=ulid(n % 2 + 1), status=Status.SENT if n % 10 == 0 else Status.QUEUED) for n in range(1, 31)
]


def reading(*gone: int) -> ReadMessages:
    messages = FakeMessageRepository()
    messages.stored = {row.id: row for row in ROWS if row.id not in gone}
    return ReadMessages(
        messages,
        FakeMessageLists(*ROWS),
        FakeMailingRepository(mailing(), mailing(id=ulid(9), status=MailingStatus.DELETED)),
        FakeClientRepository(client()),
    )


def everything(service: ReadMessages, status: Status | None, limit: int) -> list[int]:
    listed: list[int] = []
    after = None
    while True:
        page = service.of_mailing(ulid(100), status, after, limit)
        assert len(page.items) <= limit
        listed += [row.id for row in page.items]
        if page.next is None:
            return listed
        after = page.next


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
def test_every_message_is_listed_once(limit: int) -> None:
    assert everything(reading(), None, limit) == list(range(1, 31))
    assert everything(reading(), Status.SENT, limit) == [10, 20, 30]
    assert everything(reading(), Status.FAILED, limit) == []


def test_a_status_that_is_rare_makes_short_pages_with_a_next() -> None:
    page = reading().of_mailing(ulid(100), Status.FAILED, None, 1)
    assert (page.items, page.next) == ([], str(MAX_READS))


def test_rows_that_have_aged_out_are_left_out() -> None:
    assert everything(reading(1, 2, 3), None, 10) == list(range(4, 31))


def test_the_messages_of_a_client_are_its_own() -> None:
    page = reading().of_client(ulid(1), None, 500)
    assert [row.id for row in page.items] == list(range(2, 31, 2))


def test_the_open_messages_of_a_client_are_counted() -> None:
    assert reading().open_of_client(ulid(1)) == OpenMessages(12, more=False)


def test_of_very_many_messages_of_a_client_it_is_said_that_not_all_were_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_messages, "COUNTED", 1)
    assert reading().open_of_client(ulid(1)) == OpenMessages(8, more=True)


def test_one_message_is_read() -> None:
    assert reading().get(10) == ROWS[9]


def test_what_is_not_there_is_not_found() -> None:
    service = reading()
    for use in (
        lambda: service.get(31),
        lambda: service.of_client(ulid(404), None, 1),
        lambda: service.open_of_client(ulid(404)),
        lambda: service.of_mailing(ulid(404), None, None, 1),
        lambda: service.of_mailing(ulid(9), None, None, 1),
    ):
        with pytest.raises(NotFoundError):
            use()
