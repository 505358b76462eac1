"""What the port `ImportRepository` promises, of the adapter and of its fake."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.adapters.tables import ImportItem
from chalicelib.domain.bulk_import import Import, ImportStatus, Refusal, Tally
from chalicelib.domain.client import ClientChange
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import StaleError
from chalicelib.ports import ClientRepository, ImportRepository, SuppressionRepository
from tests.builders import NOW, bulk_import, client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.imports import FakeImportRepository
from tests.fakes.suppressions import FakeSuppressionRepository
from tests.tables import items_of

if TYPE_CHECKING:
    from chalicelib.bootstrap import Application

WAITING = bulk_import()
LATER = NOW + timedelta(minutes=7)
MS = timedelta(milliseconds=1)
RUNNING = replace(
    WAITING,
    status=ImportStatus.RUNNING,
    started_at=NOW,
    etag='"e"',
    size_bytes=1000,
    offset=17,
    line=3,
    delimiter=";",
    columns=("phone", "timezone"),
    rows=2,
    refused=1,
    listed=1,
    tries=1,
    version=2,
)


@dataclass(frozen=True)
class Stored:
    imports: ImportRepository
    clients: ClientRepository
    suppressions: SuppressionRepository


@pytest.fixture(params=["dynamodb", "fake"])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "fake":
        clients = FakeClientRepository()
        made = Stored(FakeImportRepository(clients.tallies), clients, FakeSuppressionRepository(clients))
    else:
        built: Application = request.getfixturevalue("built")
        made = Stored(built.imports, built.clients, built.suppressions)
    made.imports.create(WAITING)
    return made


def refusals(*lines: int) -> list[Refusal]:
    return [Refusal(line, "phone", f"is wrong – {line}") for line in lines]


def test_an_import_is_read_as_it_was_stored(stored: Stored) -> None:
    assert stored.imports.get(WAITING.id) == WAITING
    stored.imports.replace(WAITING, RUNNING, refusals(2))
    assert stored.imports.get(WAITING.id) == RUNNING
    over = RUNNING.over(NOW, "line 3 is not UTF-8")
    stored.imports.replace(RUNNING, over)
    assert stored.imports.get(WAITING.id) == over
    assert stored.imports.get(ulid(7)) is None


def test_an_import_is_created_once(stored: Stored) -> None:
    with pytest.raises(StaleError):
        stored.imports.create(WAITING)


def test_what_has_changed_since_is_not_written_over(stored: Stored) -> None:
    stored.imports.replace(WAITING, RUNNING)
    with pytest.raises(StaleError):
        stored.imports.replace(WAITING, RUNNING, refusals(5))
    assert stored.imports.refusals(WAITING.id, None, 10).items == []


def test_refused_rows_are_listed_page_by_page_in_order_of_their_lines(stored: Stored) -> None:
    before: Import = WAITING
    batches = [refusals(*range(first, first + 4)) for first in (2, 90, 95, 1000)]
    for batch in batches:
        after = replace(before, version=before.version + 1)
        stored.imports.replace(before, after, batch)
        before = after
    every = [refusal for batch in batches for refusal in batch]
    for limit in (1, 3, 4, 15, 16, 500):
        read: list[Refusal] = []
        page = stored.imports.refusals(WAITING.id, None, limit)
        while page.next is not None:
            assert len(page.items) == limit
            read += page.items
            page = stored.imports.refusals(WAITING.id, page.next, limit)
        assert [*read, *page.items] == every
    assert stored.imports.refusals(ulid(7), None, 10).items == []


def test_imports_are_due_until_they_have_ended(stored: Stored) -> None:
    assert list(stored.imports.due(LATER - MS, 10)) == []
    assert list(stored.imports.due(LATER, 10)) == [WAITING.id]
    stored.imports.create(bulk_import(id=ulid(201)))
    assert len(stored.imports.due(LATER, 1)) == 1
    stored.imports.replace(WAITING, WAITING.over(NOW))
    assert list(stored.imports.due(LATER, 10)) == [ulid(201)]


def test_clients_are_created_and_changed_and_counted_together(stored: Stored) -> None:
    old = client(tag="a")
    stored.clients.create(old)
    changes = [
        ClientChange(old, replace(old, tag="b", version=2), 3),
        *(ClientChange(None, client(id=ulid(n), phone=f"7903{n:07d}", tag="b"), 0) for n in range(300, 360)),
    ]
    assert stored.clients.change_many(changes, WAITING, 3) == []
    assert stored.imports.tally(WAITING.id) == Tally(60, 3)
    phones = [change.after.phone for change in changes]
    assert stored.clients.find_by_phones([*phones, "79990000000"]) == {
        change.after.phone: change.after for change in changes
    }
    assert stored.imports.tally(ulid(7)) == Tally()


def test_what_others_were_faster_at_is_left_and_not_counted(stored: Stored) -> None:
    old, moved = client(tag="a"), client(id=ulid(2), phone="79160000002")
    stored.clients.create(old)
    stored.clients.create(replace(moved, version=2))
    late = [
        ClientChange(moved, replace(moved, tag="b", version=2)),
        ClientChange(None, client(id=ulid(9))),
    ]
    good = [
        ClientChange(old, replace(old, tag="b", version=2)),
        ClientChange(None, client(id=ulid(4), phone="79030000004"), 0),
    ]
    assert stored.clients.change_many([late[0], good[0], late[1], good[1]], WAITING, 0) == late
    assert stored.imports.tally(WAITING.id) == Tally(1, 1)
    assert stored.clients.get(old.id) == good[0].after
    assert stored.clients.get(ulid(9)) is None
    assert stored.clients.change_many(late, WAITING, 0) == late
    assert stored.clients.change_many([], WAITING, 0) == []
    assert stored.imports.tally(WAITING.id) == Tally(1, 1)


def test_clients_are_created_suppressed_if_their_phones_are(stored: Stored) -> None:
    crowd = [client(id=ulid(n), phone=f"7903{n:07d}") for n in range(300, 340)]
    for one in crowd[::3]:
        stored.suppressions.add(Suppression(one.phone, NOW))
    assert stored.clients.change_many([ClientChange(None, one, 0) for one in crowd], WAITING, 5) == []
    assert stored.imports.tally(WAITING.id) == Tally(40, 0)
    for index, one in enumerate(crowd):
        assert stored.clients.get(one.id) == replace(one, suppressed=index % 3 == 0)


def test_a_suppressed_client_stays_so_whatever_an_import_changes(stored: Stored) -> None:
    one = client(tag="a")
    stored.clients.create(one)
    _, before = stored.suppressions.add(Suppression(one.phone, NOW))
    assert before
    after = replace(before, tag="b", version=before.version + 1)
    assert stored.clients.change_many([ClientChange(before, after)], WAITING, 0) == []
    assert stored.clients.get(one.id) == replace(one, tag="b", version=3, suppressed=True)


def test_phones_are_suppressed_and_counted_together(stored: Stored) -> None:
    crowd = [client(id=ulid(n), phone=f"7903{n:07d}", tag="a") for n in range(300, 360)]
    for one in crowd:
        stored.clients.create(one)
    known = Suppression(crowd[0].phone, NOW)
    stored.suppressions.add(known)
    strangers = [f"7916{n:07d}" for n in range(150)]
    stored.suppressions.add(Suppression(strangers[0], NOW))
    phones = [*strangers, *(one.phone for one in crowd)]
    told = stored.suppressions.add_many([Suppression(phone, LATER) for phone in phones], WAITING, 3)
    after = {one.phone: replace(one, suppressed=True, version=2) for one in crowd}
    assert told == dict.fromkeys(strangers) | after
    assert stored.clients.find_by_phones(phones) == after
    assert stored.imports.tally(WAITING.id) == Tally(208, 0)
    assert stored.suppressions.get(crowd[0].phone) == known
    assert stored.suppressions.get(strangers[1]) == Suppression(strangers[1], LATER)
    assert stored.suppressions.add_many([Suppression(phone, LATER) for phone in phones], WAITING, 3) == told
    assert stored.suppressions.add_many([], WAITING, 3) == {}
    assert stored.imports.tally(WAITING.id) == Tally(208, 0)


def test_everything_of_an_import_ages(built: "Application") -> None:
    built.imports.create(WAITING)
    built.imports.replace(WAITING, RUNNING, refusals(2))
    built.clients.change_many([ClientChange(None, client(), 0)], WAITING, 7)
    expiry = {item.part: item.expires_at for item in items_of(ImportItem)}  # type: ignore[attr-defined]
    assert expiry == dict.fromkeys(["import", "counts#7", "refused#0000000002"], WAITING.expires_at)
