"""What the port `MailingRepository` promises, of the adapter and of its fake."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from pynamodb.exceptions import GetError, PutError

from chalicelib.adapters.mailing_repository import DynamoMailingRepository
from chalicelib.adapters.tables import MailingItem
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import MailingStatus, OnUncertain
from chalicelib.errors import StaleError, TransientError
from tests.aws_errors import first_answer_lost
from tests.builders import NOW, mailing, ulid
from tests.fakes.mailings import FakeMailingRepository

Repository = DynamoMailingRepository | FakeMailingRepository


@pytest.fixture(params=["dynamodb", "fake"])
def mailings(request: pytest.FixtureRequest) -> Repository:
    if request.param == "fake":
        return FakeMailingRepository()
    request.getfixturevalue("built")
    return DynamoMailingRepository()


def ids(mailings: Repository, status: MailingStatus | None, limit: int) -> list[str]:
    """Read a list page by page."""
    read: list[str] = []
    after = None
    while True:
        page = mailings.page(status, after, limit)
        assert len(page.items) <= limit
        read += [each.id for each in page.items]
        if page.next is None:
            return read
        after = page.next


def test_a_test_is_only_in_the_list_of_its_status(mailings: Repository) -> None:
    running = mailing(status=MailingStatus.RUNNING)
    test = replace(running, id=ulid(101), test_of=running.id)
    for each in (running, test):
        mailings.create(each)
    assert mailings.get(test.id) == test
    assert ids(mailings, None, 10) == [running.id]
    assert set(ids(mailings, MailingStatus.RUNNING, 10)) == {running.id, test.id}


def test_a_mailing_is_read_as_it_was_stored(mailings: Repository) -> None:
    bare = mailing()
    full = mailing(
        id=ulid(101),
        filter=AudienceFilter(("916", "903"), ("vip", "ж")),
        window=LocalWindow(time(21), time(9, 30)),
        on_uncertain=OnUncertain.HOLD,
        status=MailingStatus.FINISHED,
        started_at=NOW,
        planned_at=NOW + timedelta(milliseconds=1),
        finished_at=NOW + timedelta(minutes=1),
        segments=8,
        message_shards=64,
        express=True,
        sweep=6,
        version=7,
    )
    for each in (bare, full):
        mailings.create(each)
        assert mailings.get(each.id) == each
    assert mailings.get(ulid(404)) is None


def test_a_mailing_is_created_once(mailings: Repository) -> None:
    mailings.create(mailing())
    with pytest.raises(StaleError):
        mailings.create(mailing(text="other"))
    assert mailings.get(ulid(100)) == mailing()


def test_what_has_changed_since_is_not_written_over(mailings: Repository) -> None:
    before, newer = mailing(), mailing(text="newer", version=2)
    mailings.create(before)
    mailings.replace(before, newer)
    with pytest.raises(StaleError):
        mailings.replace(before, mailing(text="late", version=2))
    assert mailings.get(before.id) == newer


def test_those_due_are_listed_earliest_first(mailings: Repository) -> None:
    for n, start in enumerate((NOW, NOW - timedelta(hours=1), NOW + timedelta(milliseconds=1))):
        mailings.create(mailing(id=ulid(n), start_at=start))
    mailings.create(mailing(id=ulid(9), status=MailingStatus.RUNNING))
    assert [each.id for each in mailings.starting_until(NOW, 10)] == [ulid(1), ulid(0)]
    assert [each.id for each in mailings.starting_until(NOW, 1)] == [ulid(1)]


def test_pages_hold_every_mailing_once_newest_first(mailings: Repository) -> None:
    for n in range(5):
        mailings.create(mailing(id=ulid(n), start_at=NOW + timedelta(minutes=n // 2)))
    newest_first = [ulid(n) for n in reversed(range(5))]
    for limit in (1, 2, 5, 500):
        assert ids(mailings, None, limit) == newest_first
        assert sorted(ids(mailings, MailingStatus.SCHEDULED, limit), reverse=True) == newest_first
    assert ids(mailings, MailingStatus.RUNNING, 5) == []


def test_a_deleted_mailing_is_in_no_list_but_can_be_read(mailings: Repository) -> None:
    before = mailing()
    mailings.create(before)
    deleted = replace(before, status=MailingStatus.DELETED, version=2)
    mailings.replace(before, deleted)
    assert ids(mailings, None, 5) == ids(mailings, MailingStatus.SCHEDULED, 5) == []
    assert mailings.starting_until(NOW, 5) == []
    assert mailings.get(before.id) == deleted


class TestFailures:
    """What passes is `TransientError`; what does not stays what it is."""

    def refused(self, code: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": ""}}, "Any")

    def failing(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> DynamoMailingRepository:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(MailingItem, "get", fail)
        monkeypatch.setattr(MailingItem, "save", fail)
        return DynamoMailingRepository()

    def test_throttling_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        error = GetError("throttled", self.refused("ProvisionedThroughputExceededException"))
        with pytest.raises(TransientError):
            self.failing(monkeypatch, error).get(ulid(1))

    @pytest.mark.parametrize("lost", [EndpointConnectionError, ReadTimeoutError, ConnectionClosedError])
    def test_a_lost_connection_passes(self, monkeypatch: pytest.MonkeyPatch, lost: type[BotoCoreError]) -> None:
        error = PutError("lost", lost(endpoint_url="http://x"))
        with pytest.raises(TransientError):
            self.failing(monkeypatch, error).create(mailing())

    @pytest.mark.usefixtures("built")
    def test_a_write_that_is_sent_again_since_its_answer_was_lost_is_no_conflict(self) -> None:
        mailings, before, after = DynamoMailingRepository(), mailing(), mailing(text="newer", version=2)
        client = MailingItem._get_connection().connection.client
        with first_answer_lost(client, "PutItem"):
            mailings.create(before)
        with first_answer_lost(client, "PutItem"):
            mailings.replace(before, after)
        assert mailings.get(before.id) == after

    def test_a_fault_of_ours_does_not_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        error = GetError("denied", self.refused("AccessDeniedException"))
        with pytest.raises(ClientError):
            self.failing(monkeypatch, error).get(ulid(1))

    def test_an_error_without_a_cause_stays_what_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(GetError):
            self.failing(monkeypatch, GetError("?")).get(ulid(1))
