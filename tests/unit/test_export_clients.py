from datetime import timedelta

import pytest

from chalicelib.api.import_rows import READERS
from chalicelib.domain.bulk_import import ImportKind
from chalicelib.domain.client import Client
from chalicelib.errors import ValidationError
from chalicelib.ports import Page
from chalicelib.services.export_clients import MAX_CLIENTS, PAGE, TIME, export_clients
from tests.builders import client
from tests.fakes.clock import FakeClock
from tests.import_world import ImportWorld
from tests.world import clients


def exported(some: list[Client]) -> str:
    def read(after: str | None, limit: int) -> Page[Client]:
        start = int(after or 0)
        more = start + limit < len(some)
        return Page(some[start : start + limit], str(start + limit) if more else None)

    return export_clients(read, FakeClock())


def test_what_was_exported_is_imported_again_without_a_change() -> None:
    world = ImportWorld()
    tags = [None, "vip", "=1+1", "'=1", "'tis", "a,b;c", 'say "x"', "@x", "-", "Привет"]
    stored = [
        client(id=f"01K{n:023d}", phone=f"7916{n:07d}", operator_code="903", tag=tag, timezone=zone)
        for n, (tag, zone) in enumerate((tag, zone) for tag in tags for zone in ("+03:00", "-05:00", "Europe/Moscow"))
    ]
    for one in stored:
        world.clients.create(one)
    ended = world.imported(exported(stored))
    assert world.audit(ended) == {"created": 0, "changed": 0, "refused": 0, "unchanged": len(stored)}
    other = ImportWorld()
    assert other.audit(other.imported(exported(stored)))["created"] == len(stored)
    assert set(READERS[ImportKind.CLIENTS].columns.required) <= set(
        exported([])[1:].replace('"', "").strip().split(",")
    )


def test_clients_of_many_pages_are_all_there() -> None:
    some = clients(2 * PAGE + 1)
    assert exported(some).count("\r\n") == len(some) + 1


def test_more_clients_than_a_file_has_are_refused() -> None:
    some = clients(MAX_CLIENTS)
    assert exported(some)
    with pytest.raises(ValidationError, match="filter: means more than 10,000 clients"):
        exported([*some, client()])


def test_more_than_an_answer_holds_is_refused() -> None:
    with pytest.raises(ValidationError, match="filter: means more than fits"):
        exported(clients(MAX_CLIENTS, tag="\N{GRINNING FACE}" * 64))


def test_an_export_that_would_take_too_long_is_given_up() -> None:
    clock = FakeClock()

    def read(_: str | None, __: int) -> Page[Client]:
        clock.advance(TIME / 2)
        return Page([client()], "on")

    began = clock()
    with pytest.raises(ValidationError, match="filter: takes longer than 20 s"):
        export_clients(read, clock)
    assert clock() - began <= TIME + timedelta(seconds=1)
