"""Imports on fakes: their use cases, wired as `bootstrap` wires them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from chalicelib.api.import_rows import READERS
from chalicelib.domain.bulk_import import Import, ImportKind, Refusal, Tally
from chalicelib.services.import_clients import ImportClients
from chalicelib.services.import_suppressions import ImportSuppressions
from chalicelib.services.manage_imports import ManageImports
from chalicelib.services.resume_imports import ResumeImports
from chalicelib.services.run_import import RowStore, RunImport
from tests.builders import ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.executors import InlineExecutor
from tests.fakes.imports import FakeImportRepository, FakeUploads
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.suppressions import FakeSuppressionRepository
from tests.fakes.watched import Hook, watched
from tests.world import World

RUN_TIME = timedelta(seconds=57)


@dataclass
class ImportWorld:
    """Everything that lasts. `hook` stands beside each write and each read of the file (see `tests.fakes.watched`).

    `delivery` has what else there is of the clients: their mailings and messages.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    clients: FakeClientRepository = field(default_factory=FakeClientRepository)
    uploads: FakeUploads = field(default_factory=FakeUploads)
    hook: Hook | None = None

    def __post_init__(self) -> None:
        self.tickets = FakeTicketQueue(self.clock)
        self.imports = FakeImportRepository(self.clients.tallies)
        self.suppressions = FakeSuppressionRepository(self.clients)
        self.delivery = World(clock=self.clock, clients=self.clients)
        self._ids = count(1000)

    def new_id(self) -> str:
        return ulid(next(self._ids))

    def manage(self) -> ManageImports:
        return ManageImports(self.imports, self.uploads, self.clock, self.new_id)

    def resume(self) -> int:
        return ResumeImports(self.imports, self.tickets, self.clock)()

    def run_import(self) -> RunImport:
        imports, uploads, clients, tickets = self.imports, self.uploads, self.clients, self.tickets
        suppressions = self.suppressions
        self.delivery.hook = self.hook
        if self.hook:
            imports = watched(imports, self.hook, "replace")
            uploads = watched(uploads, self.hook, "read")
            clients = watched(clients, self.hook, "create", "replace", "change_many", "find_by_phones")
            suppressions = watched(suppressions, self.hook, "add_many")
            tickets = watched(tickets, self.hook, "send_import")
        stores: Mapping[ImportKind, RowStore] = {
            ImportKind.CLIENTS: ImportClients(clients, self.clock, self.new_id, InlineExecutor()),
            ImportKind.SUPPRESSIONS: ImportSuppressions(
                suppressions, self.delivery.follow_client(), self.clock, InlineExecutor()
            ),
        }
        return RunImport(imports, uploads, tickets, self.clock, READERS, stores)

    def uploaded(self, content: bytes | str, kind: ImportKind = ImportKind.CLIENTS) -> Import:
        """Begin an import, and upload its file."""
        new, _ = self.manage().create(kind)
        self.uploads.files[new.id] = content.encode() if isinstance(content, str) else content
        return new

    def run(self, one: Import, seconds: float = RUN_TIME.total_seconds()) -> Import:
        """Run an import once; returns how it stands."""
        self.run_import()(one.id, self.clock() + timedelta(seconds=seconds))
        return self.imports.stored[one.id]

    def imported(self, content: bytes | str, kind: ImportKind = ImportKind.CLIENTS) -> Import:
        """Import a file."""
        return self.run(self.uploaded(content, kind))

    def tally(self, one: Import) -> Tally:
        return self.imports.tally(one.id)

    def refusals(self, one: Import) -> list[Refusal]:
        return list(self.imports.refusals(one.id, None, 1_000_000).items)

    def audit(self, one: Import) -> Counter[str]:
        """Count what an import did by what is there, and hold its own counts to it."""
        one, tally = self.imports.stored[one.id], self.tally(one)
        refused = len(self.refusals(one))
        assert one.refused == one.listed == refused
        assert tally.created + tally.changed + one.unchanged(tally) + refused == one.rows
        return Counter(created=tally.created, changed=tally.changed, refused=refused, unchanged=one.unchanged(tally))


def csv_of(rows: Iterable[str], header: str = "phone,timezone,tag") -> str:
    return "\n".join([header, *rows]) + "\n"


def phones(number: int, first: int = 0) -> list[str]:
    return [str(79_160_000_000 + index) for index in range(first, first + number)]
