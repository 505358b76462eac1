"""What the port `SuppressionRepository` promises, of the adapter and of its fake, and what clients make of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters.client_repository import DynamoClientRepository
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.import_repository import DynamoImportRepository
from chalicelib.adapters.suppression_repository import DynamoSuppressionRepository
from chalicelib.domain.audience import Member, parts_of
from chalicelib.domain.bulk_import import Tally
from chalicelib.domain.client import ClientChange
from chalicelib.domain.suppression import PARTS, Suppression
from chalicelib.errors import ConflictError, StaleError
from chalicelib.services.import_clients import ClientRow, ImportClients
from chalicelib.services.manage_clients import NewClient
from tests.builders import NOW, bulk_import, client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.executors import InlineExecutor
from tests.fakes.suppressions import FakeSuppressionRepository

Clients = DynamoClientRepository | FakeClientRepository
Suppressions = DynamoSuppressionRepository | FakeSuppressionRepository
ONE = client(tag="vip")
OTHER_PHONE = "79160000002"
SUPPRESSION = Suppression(ONE.phone, NOW)
IMPORT = bulk_import()
Both = tuple[Clients, Suppressions]


@pytest.fixture(params=["dynamodb", "fake"])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "fake":
        fake = FakeClientRepository()
        return fake, FakeSuppressionRepository(fake)
    dynamodb = request.getfixturevalue("dynamodb")
    clients = DynamoClientRepository(dynamodb)
    return clients, DynamoSuppressionRepository(dynamodb, clients)


def assert_agreed(both: Both, *phones: str) -> None:
    """Fail unless whoever has such a phone knows whether it is suppressed, wherever that is written."""
    clients, suppressions = both
    for phone in phones:
        has = clients.find_by_phone(phone)
        if has is None:
            continue
        assert has.suppressed == (suppressions.get(phone) is not None), phone
        for part in parts_of(has):
            members = {member.client_id: member for member in clients.members(part, None, 10).items}
            assert members[has.id] == Member.of(has)


def test_a_phone_that_nobody_has_is_suppressed(both: Both) -> None:
    clients, suppressions = both
    assert suppressions.add(SUPPRESSION) == (SUPPRESSION, None)
    assert suppressions.get(ONE.phone) == SUPPRESSION
    assert clients.find_by_phone(ONE.phone) is None


def test_a_suppression_stays_as_it_is(both: Both) -> None:
    clients, suppressions = both
    stored = clients.create(ONE)
    suppressions.add(SUPPRESSION)
    again, known = suppressions.add(Suppression(ONE.phone, NOW.replace(year=2027)))
    assert again == suppressions.get(ONE.phone) == SUPPRESSION
    assert known == clients.get(ONE.id) == replace(stored, suppressed=True, version=2)


def test_the_client_who_has_the_phone_knows(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    _, told = suppressions.add(SUPPRESSION)
    assert told == clients.get(ONE.id) == replace(ONE, suppressed=True, version=2)
    assert_agreed(both, ONE.phone)
    assert suppressions.remove(SUPPRESSION) == clients.get(ONE.id) == replace(ONE, version=3)
    assert suppressions.get(ONE.phone) is None
    assert_agreed(both, ONE.phone)


def test_what_is_not_suppressed_cannot_be_lifted(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    with pytest.raises(StaleError):
        suppressions.remove(SUPPRESSION)
    assert clients.get(ONE.id) == ONE


def test_a_suppression_is_lifted_that_concerns_nobody(both: Both) -> None:
    _, suppressions = both
    suppressions.add(SUPPRESSION)
    assert suppressions.remove(SUPPRESSION) is None
    assert suppressions.get(ONE.phone) is None


def test_a_client_with_a_suppressed_phone_is_created_suppressed(both: Both) -> None:
    clients, suppressions = both
    suppressions.add(SUPPRESSION)
    assert clients.create(ONE) == clients.get(ONE.id) == replace(ONE, suppressed=True)
    assert_agreed(both, ONE.phone)


def test_a_suppression_outlives_the_client(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    _, stored = suppressions.add(SUPPRESSION)
    assert stored
    clients.delete(stored)
    assert suppressions.get(ONE.phone) == SUPPRESSION
    assert clients.create(client(id=ulid(2))).suppressed
    assert_agreed(both, ONE.phone)


def test_a_suppression_stays_with_the_phone_that_a_client_gives_up(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    _, stored = suppressions.add(SUPPRESSION)
    assert stored
    moved = clients.replace(stored, replace(stored, phone=OTHER_PHONE, version=3))
    assert moved == clients.get(ONE.id)
    assert not moved.suppressed
    assert clients.create(client(id=ulid(2))).suppressed
    assert_agreed(both, ONE.phone, OTHER_PHONE)


def test_a_client_who_takes_a_suppressed_phone_is_suppressed(both: Both) -> None:
    clients, suppressions = both
    suppressions.add(Suppression(OTHER_PHONE, NOW))
    clients.create(ONE)
    moved = clients.replace(ONE, replace(ONE, phone=OTHER_PHONE, version=2))
    assert moved == clients.get(ONE.id) == replace(ONE, phone=OTHER_PHONE, version=2, suppressed=True)
    assert_agreed(both, OTHER_PHONE)


def test_a_suppressed_client_may_change_otherwise(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    _, stored = suppressions.add(SUPPRESSION)
    assert stored
    clients.replace(stored, replace(stored, timezone="Asia/Tokyo", tag=None, version=3))
    changed = clients.get(ONE.id)
    assert changed
    assert (changed.suppressed, changed.timezone) == (True, "Asia/Tokyo")
    assert_agreed(both, ONE.phone)


def test_suppressions_are_listed_page_by_page_each_once(both: Both) -> None:
    _, suppressions = both
    stored = {phone: Suppression(phone, NOW) for phone in (f"7916{n:07d}" for n in range(70))}
    for each in stored.values():
        suppressions.add(each)
    found: list[Suppression] = []
    after = None
    while True:
        page = suppressions.page(after, 7)
        assert len(page.items) <= 7
        found += page.items
        after = page.next
        if after is None:
            break
    assert {each.phone: each for each in found} == stored
    assert len(found) == len(stored)


def test_a_list_goes_on_behind_what_was_lifted(both: Both) -> None:
    _, suppressions = both
    phones = {f"7916{n:07d}" for n in range(10)}
    for phone in phones:
        suppressions.add(Suppression(phone, NOW))
    first = suppressions.page(None, 4)
    suppressions.remove(first.items[-1])
    others = suppressions.page(first.next, 100)
    assert {each.phone for each in (*first.items, *others.items)} == phones
    assert others.next is None


# Races: whoever reads and then writes finds that somebody was there in between.


class Interrupted(DynamoDB):
    """DynamoDB beside which something happens right before each of the next writes."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        super().__init__(dynamodb.client)
        self.meanwhile: Iterator[Callable[[], object]] = iter(())

    def write(self, items: Sequence[Any]) -> list[dict[str, Any]] | None:
        if happens := next(self.meanwhile, None):
            happens()
        return super().write(items)


@pytest.fixture
def quick(dynamodb: DynamoDB) -> Both:
    """The repositories of those who are faster."""
    clients = DynamoClientRepository(dynamodb)
    return clients, DynamoSuppressionRepository(dynamodb, clients)


@pytest.fixture
def slow(dynamodb: DynamoDB) -> tuple[Interrupted, DynamoClientRepository, DynamoSuppressionRepository]:
    interrupted = Interrupted(dynamodb)
    clients = DynamoClientRepository(interrupted)
    return interrupted, clients, DynamoSuppressionRepository(interrupted, clients)


Slow = tuple[Interrupted, DynamoClientRepository, DynamoSuppressionRepository]


def change_of(what: str, clients: Clients, suppressions: Suppressions) -> Callable[[], object]:
    stored = clients.get(ONE.id) or ONE
    return {
        "created": lambda: clients.create(ONE),
        "tagged": lambda: clients.replace(stored, replace(stored, tag="b", version=stored.version + 1)),
        "moved": lambda: clients.replace(stored, replace(stored, phone=OTHER_PHONE, version=stored.version + 1)),
        "deleted": lambda: clients.delete(stored),
        "suppressed": lambda: suppressions.add(SUPPRESSION),
        "lifted": lambda: suppressions.remove(SUPPRESSION),
    }[what]


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (False, "created"),
        (True, "tagged"),
        (True, "moved"),
        (True, "deleted"),
        (True, "suppressed"),
        (False, "suppressed"),
    ],
)
def test_who_suppresses_a_phone_finds_what_became_of_its_client_meanwhile(
    slow: Slow,
    quick: Both,
    there: bool,  # noqa: FBT001 - a case
    what: str,
) -> None:
    interrupted, _, suppressions = slow
    if there:
        quick[0].create(ONE)
    interrupted.meanwhile = iter([change_of(what, *quick)])
    with pytest.raises(StaleError):
        suppressions.add(SUPPRESSION)
    assert (quick[1].get(ONE.phone) is not None) == (what == "suppressed")
    assert_agreed(quick, ONE.phone, OTHER_PHONE)
    suppressions.add(SUPPRESSION)
    assert quick[1].get(ONE.phone) == SUPPRESSION
    assert_agreed(quick, ONE.phone, OTHER_PHONE)


@pytest.mark.parametrize(
    ("there", "what"),
    [(False, "created"), (True, "tagged"), (True, "moved"), (True, "deleted"), (True, "lifted"), (False, "lifted")],
)
def test_who_lifts_a_suppression_finds_what_became_of_its_client_meanwhile(
    slow: Slow,
    quick: Both,
    there: bool,  # noqa: FBT001 - a case
    what: str,
) -> None:
    interrupted, _, suppressions = slow
    if there:
        quick[0].create(ONE)
    quick[1].add(SUPPRESSION)
    interrupted.meanwhile = iter([change_of(what, *quick)])
    with pytest.raises(StaleError):
        suppressions.remove(SUPPRESSION)
    assert (quick[1].get(ONE.phone) is None) == (what == "lifted")
    assert_agreed(quick, ONE.phone, OTHER_PHONE)


def test_a_client_is_created_suppressed_if_the_phone_is_by_then(slow: Slow, quick: Both) -> None:
    interrupted, clients, _ = slow
    interrupted.meanwhile = iter([change_of("suppressed", *quick)])
    assert clients.create(ONE).suppressed
    assert_agreed(quick, ONE.phone)


def test_a_client_is_created_as_the_phone_is_in_the_end(slow: Slow, quick: Both) -> None:
    interrupted, clients, _ = slow
    interrupted.meanwhile = iter([change_of("suppressed", *quick), change_of("lifted", *quick)])
    assert not clients.create(ONE).suppressed
    assert_agreed(quick, ONE.phone)


def test_a_client_is_not_created_with_a_phone_that_others_keep_changing(slow: Slow, quick: Both) -> None:
    interrupted, clients, _ = slow
    interrupted.meanwhile = iter([change_of(what, *quick) for what in ("suppressed", "lifted") * 2])
    with pytest.raises(StaleError):
        clients.create(ONE)
    assert quick[0].get(ONE.id) is None


def test_a_client_takes_a_phone_as_it_is_by_then(slow: Slow, quick: Both) -> None:
    interrupted, clients, _ = slow
    quick[0].create(ONE)
    interrupted.meanwhile = iter([lambda: quick[1].add(Suppression(OTHER_PHONE, NOW))])
    moved = clients.replace(ONE, replace(ONE, phone=OTHER_PHONE, version=2))
    assert moved.suppressed
    assert_agreed(quick, ONE.phone, OTHER_PHONE)


@pytest.mark.parametrize("what", ["suppressed", "tagged", "deleted"])
@pytest.mark.parametrize("phone", [ONE.phone, OTHER_PHONE])
def test_a_change_meets_what_happened_meanwhile(slow: Slow, quick: Both, what: str, phone: str) -> None:
    interrupted, clients, _ = slow
    quick[0].create(ONE)
    interrupted.meanwhile = iter([change_of(what, *quick)])
    with pytest.raises(StaleError):
        clients.replace(ONE, replace(ONE, phone=phone, timezone="Asia/Tokyo", version=2))
    assert_agreed(quick, ONE.phone, OTHER_PHONE)


def test_a_client_is_not_deleted_in_the_state_before_its_suppression(slow: Slow, quick: Both) -> None:
    interrupted, clients, _ = slow
    quick[0].create(ONE)
    interrupted.meanwhile = iter([change_of("suppressed", *quick)])
    with pytest.raises(StaleError):
        clients.delete(ONE)
    assert_agreed(quick, ONE.phone)


@pytest.mark.parametrize("what", ["suppressed", "lifted"])
def test_an_import_creates_no_client_in_the_state_before(slow: Slow, quick: Both, what: str) -> None:
    interrupted, clients, _ = slow
    if what == "lifted":
        quick[1].add(SUPPRESSION)
    change = ClientChange(None, ONE, 0)
    other = ClientChange(None, client(id=ulid(2), phone=OTHER_PHONE), 0)
    interrupted.meanwhile = iter([change_of(what, *quick)])
    assert clients.change_many([other, change], IMPORT, 0) == [change]
    assert quick[0].get(ONE.id) is None
    assert quick[0].get(ulid(2)) == other.after
    assert clients.change_many([change], IMPORT, 0) == []
    assert quick[0].get(ONE.id) == replace(ONE, suppressed=what == "suppressed")
    assert_agreed(quick, ONE.phone)


def test_a_row_whose_phone_is_suppressed_meanwhile_comes_again_and_ends_suppressed(
    slow: Slow, quick: Both, dynamodb: DynamoDB
) -> None:
    interrupted, clients, _ = slow
    interrupted.meanwhile = iter([change_of("suppressed", *quick)])
    row = ClientRow(NewClient(ONE.phone, ONE.timezone), frozenset({"phone", "timezone"}))
    ImportClients(clients, FakeClock(), lambda: ONE.id, InlineExecutor())(IMPORT, [row])
    stored = quick[0].get(ONE.id)
    assert stored
    assert stored.suppressed
    assert_agreed(quick, ONE.phone)
    assert DynamoImportRepository(dynamodb).tally(IMPORT.id) == Tally(1, 0)


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (False, "created"),
        (True, "tagged"),
        (True, "moved"),
        (True, "deleted"),
        (True, "suppressed"),
        (False, "suppressed"),
    ],
)
def test_an_import_of_suppressions_finds_what_became_of_a_client_meanwhile(
    slow: Slow,
    quick: Both,
    dynamodb: DynamoDB,
    there: bool,  # noqa: FBT001 - a case
    what: str,
) -> None:
    interrupted, _, suppressions = slow
    if there:
        quick[0].create(ONE)
    strangers = [Suppression(f"7903{n:07d}", NOW) for n in range(5)]
    interrupted.meanwhile = iter([change_of(what, *quick)])
    told = suppressions.add_many([SUPPRESSION, *strangers], IMPORT, 0)
    assert told == dict.fromkeys(one.phone for one in strangers)
    assert (quick[1].get(ONE.phone) is not None) == (what == "suppressed")
    assert_agreed(quick, ONE.phone, OTHER_PHONE)
    assert suppressions.add_many([SUPPRESSION], IMPORT, 0) == {ONE.phone: quick[0].find_by_phone(ONE.phone)}
    assert_agreed(quick, ONE.phone, OTHER_PHONE)
    assert DynamoImportRepository(dynamodb).tally(IMPORT.id) == Tally(5 + (what != "suppressed"), 0)


@pytest.mark.parametrize("limit", [3, 50, 500])
def test_a_page_takes_a_query_for_each_partition_at_most_and_reads_nothing_that_it_does_not_show(
    quick: Both, dynamodb: DynamoDB, limit: int
) -> None:
    _, suppressions = quick
    suppressions.add_many([Suppression(f"7916{n:07d}", NOW) for n in range(400)], IMPORT, 0)
    asked: list[int] = []
    events = dynamodb.client.meta.events
    events.register("after-call.dynamodb.Query", lambda parsed, **_: asked.append(parsed["Count"]), unique_id="count")
    pages, after = 0, None
    while pages == 0 or after is not None:
        before = len(asked)
        page = suppressions.page(after, limit)
        assert len(asked) - before <= PARTS
        assert sum(asked[before:]) == len(page.items) <= limit
        pages, after = pages + 1, page.next
    events.unregister("after-call.dynamodb.Query", unique_id="count")
    assert sum(asked) == 400
    assert len(asked) <= pages + PARTS


def test_a_phone_of_another_is_refused_whether_it_is_suppressed_or_not(both: Both) -> None:
    clients, suppressions = both
    clients.create(ONE)
    suppressions.add(SUPPRESSION)
    with pytest.raises(ConflictError):
        clients.create(client(id=ulid(2)))
    assert clients.get(ulid(2)) is None
