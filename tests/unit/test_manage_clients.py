from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import count

import pytest

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.client import Client
from chalicelib.errors import ConflictError, NotFoundError, StaleError
from chalicelib.services import manage_clients
from chalicelib.services.manage_clients import ManageClients, NewClient, with_new_phone
from chalicelib.services.optimistic import TRIES
from tests.builders import NOW, client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.world import World

NEW = NewClient(phone="79161234567", timezone="Europe/Moscow")


def managing(repository: FakeClientRepository) -> ManageClients:
    numbers = count(1)
    return ManageClients(
        repository, repository, World().follow_client(), clock=lambda: NOW, new_id=lambda: ulid(next(numbers))
    )


def test_the_operator_code_is_that_of_the_phone_unless_told() -> None:
    service = managing(FakeClientRepository())
    assert service.create(NEW) == client()
    assert service.create(replace(NEW, phone="79030000001", operator_code="999")).operator_code == "999"


def test_a_taken_phone_is_refused() -> None:
    service = managing(FakeClientRepository())
    service.create(NEW)
    with pytest.raises(ConflictError):
        service.create(NEW)


def test_attempts_with_one_id_create_one_client() -> None:
    repository = FakeClientRepository()
    first = managing(repository).create(NEW, ulid(7))
    repository.stored[ulid(7)] = replace(first, tag="changed since")
    again = managing(repository).create(NEW, ulid(7))
    assert again == repository.stored[ulid(7)]
    assert len(repository.stored) == 1
    with pytest.raises(ConflictError):
        managing(repository).create(NEW, ulid(8))


def test_a_client_that_must_not_be_deleted_as_it_is_stays() -> None:
    repository = FakeClientRepository(client())

    def refuse(_client: Client) -> None:
        raise NotFoundError("not as it is")

    with pytest.raises(NotFoundError, match="as it is"):
        managing(repository).delete(ulid(1), refuse)
    assert ulid(1) in repository.stored


def test_a_client_that_is_not_there_is_not_found() -> None:
    service = managing(FakeClientRepository())
    for use in (service.get, service.delete, lambda id_: service.update(id_, lambda before: before)):
        with pytest.raises(NotFoundError):
            use(ulid(9))


def test_a_change_that_changes_nothing_stores_nothing() -> None:
    repository = FakeClientRepository(client(version=3))
    assert managing(repository).update(ulid(1), lambda before: before).version == 3
    assert repository.stored[ulid(1)].version == 3


class Racing(FakeClientRepository):
    """A repository in which somebody else changes the client right before each of the first replaces."""

    def __init__(self, stored: Client, races: int) -> None:
        super().__init__(stored)
        self._races = races

    def _race(self) -> None:
        if self._races:
            self._races -= 1
            current = self.stored[ulid(1)]
            self.stored[ulid(1)] = replace(current, timezone=f"+0{self._races}:00", version=current.version + 1)

    def replace(self, before: Client, after: Client) -> Client:
        self._race()
        return super().replace(before, after)

    def delete(self, client: Client) -> None:
        self._race()
        super().delete(client)


def test_a_change_is_made_again_upon_that_of_another() -> None:
    repository = Racing(client(), races=2)
    changed = managing(repository).update(ulid(1), lambda before: replace(before, tag="vip"))
    assert (changed.tag, changed.timezone, changed.version) == ("vip", "+00:00", 4)
    assert repository.stored[ulid(1)] == changed


def test_a_client_is_deleted_although_another_changes_it() -> None:
    repository = Racing(client(), races=1)
    managing(repository).delete(ulid(1))
    assert repository.stored == {}


def test_who_is_never_fast_enough_is_told_so() -> None:
    repository = Racing(client(), races=TRIES)
    with pytest.raises(StaleError):
        managing(repository).update(ulid(1), lambda before: replace(before, tag="vip"))


def test_an_operator_code_follows_a_new_phone_only_if_it_was_that_of_the_old() -> None:
    assert with_new_phone(client(), "79030000001").operator_code == "903"
    assert with_new_phone(client(operator_code="999"), "79030000001").operator_code == "999"


class TestListing:
    def test_everyone_is_listed_once_whatever_the_limit(self) -> None:
        everyone = [client(id=ulid(n), phone=f"791600000{n:02d}", tag="vip" if n % 3 else None) for n in range(50)]
        service = managing(FakeClientRepository(*everyone))
        for limit in (1, 7, 50, 500):
            for meant in (AudienceFilter(), AudienceFilter(("916",)), AudienceFilter(("916",), ("vip",))):
                listed: list[str] = []
                after = None
                while True:
                    page = service.page(meant, after, limit)
                    assert len(page.items) <= limit
                    listed += [each.id for each in page.items]
                    if page.next is None:
                        break
                    after = page.next
                assert sorted(listed) == [each.id for each in everyone if meant.matches(each)]

    def test_a_page_ends_after_so_many_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(manage_clients, "MAX_READS", 4)
        page = managing(FakeClientRepository()).page(AudienceFilter(), None, 10)
        assert (list(page.items), page.next) == ([], "4:")

    def test_who_changed_or_went_in_between_is_left_out(self) -> None:
        class Gone(FakeClientRepository):
            def get_many(self, client_ids: Collection[str]) -> Mapping[str, Client]:
                return {id_: replace(self.stored[id_], tag="other") for id_ in client_ids if id_ != ulid(1)}

        repository = Gone(client(tag="vip"), client(id=ulid(2), phone="79160000002", tag="vip"))
        assert managing(repository).page(AudienceFilter(tags=("vip",)), None, 10).items == []

    def test_a_phone_is_looked_up(self) -> None:
        service = managing(FakeClientRepository(client(tag="vip")))
        assert list(service.with_phone("79161234567", AudienceFilter(tags=("vip",))).items) == [client(tag="vip")]
        assert list(service.with_phone("79161234567", AudienceFilter(tags=("other",))).items) == []
        assert list(service.with_phone("79160000000", AudienceFilter()).items) == []
