"""What the ports `ClientRepository` and `AudienceRepository` promise, of the adapter and of its fake."""

from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from chalicelib.adapters.client_repository import DynamoClientRepository
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.tables import AudienceItem, ClientItem
from chalicelib.domain.audience import Member, parts_of
from chalicelib.errors import ConflictError, StaleError, TransientError
from tests.builders import client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.tables import items_of

Repository = DynamoClientRepository | FakeClientRepository
ONE = client(tag="vip")


@pytest.fixture(params=["dynamodb", "fake"])
def clients(request: pytest.FixtureRequest) -> Repository:
    if request.param == "fake":
        return FakeClientRepository()
    return DynamoClientRepository(request.getfixturevalue("dynamodb"))


def parts_with(clients: Repository, client_id: str, *others: str) -> set[str]:
    """Name the parts in which a client is, of those looked into."""
    parts = set(parts_of(ONE)) | set(others)
    return {part for part in parts if client_id in [m.client_id for m in clients.members(part, None, 10).items]}


def test_a_client_is_read_as_it_was_stored(clients: Repository) -> None:
    plain = client(id=ulid(2), phone="79160000002")
    for each in (ONE, plain):
        clients.create(each)
        assert clients.get(each.id) == each
        assert clients.find_by_phone(each.phone) == each
    assert clients.get_many([ONE.id, plain.id, plain.id, ulid(3)]) == {ONE.id: ONE, plain.id: plain}
    assert clients.get_many([]) == {}


def test_what_is_not_there_is_none(clients: Repository) -> None:
    clients.create(ONE)
    assert clients.get(ulid(2)) is None
    assert clients.get(f"phone#{ONE.phone}") is None
    assert clients.find_by_phone("79160000000") is None


def test_a_phone_is_had_once(clients: Repository) -> None:
    clients.create(ONE)
    with pytest.raises(ConflictError, match="phone"):
        clients.create(client(id=ulid(2)))
    assert clients.get(ulid(2)) is None
    assert clients.find_by_phone(ONE.phone) == ONE


def test_a_client_is_a_member_of_its_parts(clients: Repository) -> None:
    clients.create(ONE)
    for part in parts_of(ONE):
        assert list(clients.members(part, None, 10).items) == [Member.of(ONE)]


def test_memberships_follow_a_change(clients: Repository) -> None:
    clients.create(ONE)
    changed = replace(ONE, operator_code="903", tag=None, version=2)
    clients.replace(ONE, changed)
    assert clients.get(ONE.id) == changed
    assert parts_with(clients, ONE.id, *parts_of(changed)) == set(parts_of(changed))
    assert list(clients.members(parts_of(changed)[0], None, 10).items) == [Member.of(changed)]


def test_a_new_phone_frees_the_old_one(clients: Repository) -> None:
    clients.create(ONE)
    moved = replace(ONE, phone="79160000002", version=2)
    clients.replace(ONE, moved)
    assert clients.find_by_phone(ONE.phone) is None
    assert clients.find_by_phone(moved.phone) == moved
    clients.create(client(id=ulid(2)))


def test_a_change_to_the_phone_of_another_is_refused(clients: Repository) -> None:
    other = client(id=ulid(2), phone="79160000002")
    clients.create(ONE)
    clients.create(other)
    with pytest.raises(ConflictError, match="phone") as caught:
        clients.replace(other, replace(other, phone=ONE.phone, version=2))
    assert not isinstance(caught.value, StaleError)
    assert clients.get(other.id) == other


def test_what_has_changed_since_is_not_written_over(clients: Repository) -> None:
    clients.create(ONE)
    newer = replace(ONE, timezone="UTC", version=2)
    clients.replace(ONE, newer)
    for late in (replace(ONE, tag="x", version=2), replace(ONE, phone="79160000009", version=2)):
        with pytest.raises(StaleError):
            clients.replace(ONE, late)
    with pytest.raises(StaleError):
        clients.delete(ONE)
    assert clients.get(ONE.id) == newer
    assert clients.find_by_phone("79160000009") is None


def test_a_deleted_client_is_gone_from_everywhere(clients: Repository) -> None:
    clients.create(ONE)
    clients.delete(ONE)
    assert clients.get(ONE.id) is None
    assert clients.find_by_phone(ONE.phone) is None
    assert parts_with(clients, ONE.id) == set()
    with pytest.raises(StaleError):
        clients.delete(ONE)


def test_members_are_read_page_by_page_in_order(clients: Repository) -> None:
    part = parts_of(ONE)[0]
    ids = [ulid(n) for n in range(200) if parts_of(client(id=ulid(n)))[0] == part][:5]
    for n, id_ in enumerate(ids):
        clients.create(client(id=id_, phone=f"7916000000{n}"))
    read: list[str] = []
    after = None
    while True:
        page = clients.members(part, after, 2)
        assert len(page.items) <= 2
        read += [member.client_id for member in page.items]
        if page.next is None:
            break
        after = page.next
    assert read == ids


def test_members_are_counted_from_any_of_them_on(clients: Repository) -> None:
    part = parts_of(ONE)[0]
    ids = [ulid(n) for n in range(200) if parts_of(client(id=ulid(n)))[0] == part][:3]
    assert clients.count(part, None) == 0
    for n, id_ in enumerate(ids):
        clients.create(client(id=id_, phone=f"7916000000{n}"))
    assert [clients.count(part, after) for after in (None, *ids)] == [3, 2, 1, 0]


class TestOnDynamoDB:
    def test_members_are_counted_over_all_pages(self) -> None:
        pages = Pages([({"Count": 3}, "c"), ({"Count": 2}, None)])
        assert DynamoClientRepository(DynamoDB(cast("Any", pages))).count("all##00", "a") == 5
        assert [start and start["client_id"]["S"] for start in pages.starts] == ["a", "c"]

    def test_a_member_that_was_stored_without_a_zone_is_read(self, dynamodb: DynamoDB) -> None:
        clients = DynamoClientRepository(dynamodb)
        AudienceItem(part="all##00", client_id=ONE.id, operator_code="916").save()
        (member,) = clients.members("all##00", None, 10).items
        assert member == Member(ONE.id, "916", None, suppressed=False, timezone=None)

    def test_no_phone_is_left_of_a_deleted_client(self, dynamodb: DynamoDB) -> None:
        clients = DynamoClientRepository(dynamodb)
        clients.create(ONE)
        clients.delete(ONE)
        assert items_of(ClientItem) + items_of(AudienceItem) == []

    def test_more_than_a_hundred_are_read(self, dynamodb: DynamoDB) -> None:
        clients = DynamoClientRepository(dynamodb)
        clients.create(ONE)
        assert clients.get_many([ONE.id, *(ulid(n) for n in range(1000, 1230))]) == {ONE.id: ONE}

    def test_a_conflict_of_transactions_is_tried_again(self) -> None:
        conflicting = Conflicting(failures=2)
        conflicting.repository.create(ONE)
        assert conflicting.calls == 3

    def test_a_conflict_that_stays_is_transient(self) -> None:
        conflicting = Conflicting(failures=100)
        with pytest.raises(TransientError):
            conflicting.repository.create(ONE)


class Pages:
    """A DynamoDB client whose answers end where a megabyte does."""

    def __init__(self, pages: list[tuple[dict[str, Any], str | None]]) -> None:
        self.starts: list[Any] = []
        self._pages = iter(pages)

    def query(self, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3 takes it
        self.starts.append(given.get("ExclusiveStartKey"))
        answer, last = next(self._pages)
        return answer | ({"LastEvaluatedKey": {"part": {"S": "p"}, "client_id": {"S": last}}} if last else {})


class Conflicting:
    """A DynamoDB client whose first transactions meet others. The emulators never do that by themselves."""

    class exceptions:  # noqa: N801 - as boto3 names it
        TransactionCanceledException = ClientError

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    @property
    def repository(self) -> DynamoClientRepository:
        return DynamoClientRepository(DynamoDB(cast("Any", self), sleep=lambda _: None))

    def transact_write_items(self, **_: object) -> None:
        self.calls += 1
        if self.calls <= self._failures:
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": ""},
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
            }
            raise ClientError(answer, "TransactWriteItems")
