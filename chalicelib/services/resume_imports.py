"""Bring back imports that nobody is at: their file's notice was lost, or whoever was at them died."""

from dataclasses import dataclass, replace

from chalicelib.domain.bulk_import import LOOK_AGAIN
from chalicelib.errors import StaleError
from chalicelib.ports import Clock, ImportRepository, TicketQueue

IMPORTS = 100


@dataclass(frozen=True, slots=True)
class ResumeImports:
    """Queues a ticket for each import that is due. `due_at` moves first: killed in between, it comes due once more."""

    imports: ImportRepository
    tickets: TicketQueue
    clock: Clock

    def __call__(self) -> int:
        """Look once; returns how many were brought back."""
        now, resumed = self.clock(), 0
        for import_id in self.imports.due(now, IMPORTS):
            found = self.imports.get(import_id)
            if found is None or found.ended:
                continue
            try:
                self.imports.replace(found, replace(found, due_at=now + LOOK_AGAIN, version=found.version + 1))
            except StaleError:
                continue  # somebody is at it
            self.tickets.send_import(import_id)
            resumed += 1
        return resumed
