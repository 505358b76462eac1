"""Imports as the API knows them: begun and looked at."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.bulk_import import (
    KEPT,
    LOOK_AGAIN,
    MAX_BYTES,
    UPLOAD_TIME,
    Import,
    ImportKind,
    ImportStatus,
    Refusal,
    Tally,
)
from chalicelib.errors import NotFoundError
from chalicelib.ports import Clock, ImportRepository, NewId, Page, UploadForm, Uploads
from chalicelib.services.audit_trail import did

logger = logging.getLogger(__name__)

_WORTHWHILE = timedelta(seconds=30)  # of time to upload, below which no form is shown


@dataclass(frozen=True, slots=True)
class ManageImports:
    """The use cases of imports."""

    imports: ImportRepository
    uploads: Uploads
    clock: Clock
    new_id: NewId

    def create(self, kind: ImportKind) -> tuple[Import, UploadForm]:
        """Begin an import: it waits for its file, which the form uploads."""
        now = self.clock()
        new = Import(
            id=self.new_id(),
            kind=kind,
            status=ImportStatus.WAITING,
            created_at=now,
            expires_at=now + KEPT,
            due_at=now + LOOK_AGAIN,
        )
        form = self.uploads.form(new.id, MAX_BYTES, UPLOAD_TIME)
        self.imports.create(new)
        logger.info("import created", extra={"import_id": new.id, "kind": kind})
        did(new.id, kind=kind)
        return new, form

    def form(self, waiting: Import, then: str) -> UploadForm | None:
        """Sign the form anew for a browser, which it leads to the address `then`; None: its time is over.

        Args:
            waiting: for its file.
            then: where the browser goes once the file is there.
        """
        left = waiting.created_at + UPLOAD_TIME - self.clock()
        return self.uploads.form(waiting.id, MAX_BYTES, left, then) if left >= _WORTHWHILE else None

    def get(self, kind: ImportKind, import_id: str) -> tuple[Import, Tally]:
        """Read an import, and what it has done so far.

        Raises:
            NotFoundError: there is none of this kind, or it has aged out.
        """
        # The row last: its rows are then never fewer than those counted, but for the batch at work.
        tally = self.imports.tally(import_id)
        found = self.imports.get(import_id)
        if found is None or found.kind is not kind:
            raise NotFoundError("there is no such import")
        return found, tally

    def refusals(self, import_id: str, after: str | None, limit: int) -> Page[Refusal]:
        """List the rows of an import that were refused, in order of their lines."""
        return self.imports.refusals(import_id, after, limit)
