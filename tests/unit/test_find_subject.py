import pytest

from chalicelib.domain.mailing import MailingStatus
from chalicelib.services.find_subject import FindSubject, Found
from tests.builders import bulk_import, client, mailing, message, ulid
from tests.world import World


@pytest.fixture
def world() -> World:
    return World()


def find(world: World, text: str) -> Found | None:
    return FindSubject(world.mailings, world.clients, world.messages, world.imports)(text)


def test_each_is_found_by_its_id(world: World) -> None:
    world.mailings.create(mailing())
    world.clients.create(client())
    world.imports.create(bulk_import())
    (row,) = world.messages.plan(mailing(), [message()])
    assert find(world, f" {ulid(100).lower()} ") == Found("mailing", ulid(100))
    assert find(world, ulid(1)) == Found("client", ulid(1))
    assert find(world, ulid(200)) == Found("clients import", ulid(200))
    assert find(world, str(row.id)) == Found("message", str(row.id))


@pytest.mark.parametrize("text", ["79161234567", "+7 916 123-45-67", "8 (916) 123 45 67"])
def test_a_client_is_found_by_phone_as_people_write_it(world: World, text: str) -> None:
    world.clients.create(client())
    assert find(world, text) == Found("client", ulid(1))


def test_a_number_that_nobody_has_as_phone_may_be_a_message(world: World) -> None:
    world.messages.plan(mailing(), [message(id=79161234567)])
    assert find(world, "79161234567") == Found("message", "79161234567")
    world.clients.create(client())
    assert find(world, "79161234567") == Found("client", ulid(1))


@pytest.mark.parametrize("text", ["", "x", "0", "12345", "79161234568", ulid(5), "9" * 17, '"; --'])
def test_nothing_is_found_of_what_is_not_there(world: World, text: str) -> None:
    world.clients.create(client())
    assert find(world, text) is None


def test_a_deleted_mailing_is_not_found(world: World) -> None:
    world.mailings.create(mailing(status=MailingStatus.DELETED))
    assert find(world, ulid(100)) is None
