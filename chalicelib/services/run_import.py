"""Read an uploaded file, row by row, and do with each what its kind of import does."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.bulk_import import (
    MAX_TRIES,
    UPLOAD_SLACK,
    UPLOAD_TIME,
    Import,
    ImportKind,
    ImportStatus,
    Refusal,
    batches,
)
from chalicelib.domain.csv_rows import MALFORMED, Columns, Row, UnreadableFileError, read_header, read_rows
from chalicelib.errors import StaleError, ValidationError
from chalicelib.ports import Clock, ImportRepository, TicketQueue, Uploads

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024  # of a read; a header must fit in one
BATCH_TIME = timedelta(seconds=10)  # no batch is begun with less, but for the first: each run gets on


@dataclass(frozen=True, slots=True)
class RowReader:
    """What rows of a kind look like: their columns, and what makes of cells by column whatever is stored.

    `read` raises `ValidationError` if they are refused.
    """

    columns: Columns
    read: Callable[[Mapping[str, str]], Any]


RowStore = Callable[[Import, Sequence[Any]], None]
"""Stores rows that were read, and counts what they did; the same rows may come again."""


@dataclass(frozen=True, slots=True)
class RunImport:
    """Works off an import from its cursor on, and hands itself on when its time is over.

    Rows come first, then the cursor, which is always at the end of a row, with the refusals before it. Killed in
    between: the batch is done again, and changes nothing. Of two who are at it at once one finds the cursor moved.
    """

    imports: ImportRepository
    uploads: Uploads
    tickets: TicketQueue
    clock: Clock
    readers: Mapping[ImportKind, RowReader]
    stores: Mapping[ImportKind, RowStore]

    def __call__(self, import_id: str, stop_at: datetime) -> None:
        """Work until the import has ended or `stop_at` is near."""
        found = self.imports.get(import_id)
        if found is None or found.ended:
            logger.info("import ticket dropped: nothing is left to do", extra={"import_id": import_id})
            return
        try:
            self._go_on(found, stop_at)
        except StaleError:
            logger.info("import left to somebody who is further", extra={"import_id": import_id})

    def _go_on(self, found: Import, stop_at: datetime) -> None:
        upload = self.uploads.find(found.id)
        if upload is None:
            self._not_there(found)
        elif found.tries >= MAX_TRIES:
            self._end(found, f"line {found.line}: {MAX_TRIES} runs did not get past it; the importer's log says why")
        else:
            begun = found.begun(self.clock(), upload.size_bytes, upload.etag)
            self.imports.replace(found, begun)
            self._read(begun, stop_at)

    def _not_there(self, found: Import) -> None:
        if found.status is ImportStatus.RUNNING:
            self._end(found, "the file was deleted while it was read")
        elif self.clock() >= found.created_at + UPLOAD_TIME + UPLOAD_SLACK:
            self._end(found, "no file was uploaded in time")
        else:
            logger.info("import waits for its file", extra={"import_id": found.id})

    def _read(self, current: Import, stop_at: datetime) -> None:
        reader = self.readers[current.kind]
        stored = current
        try:
            if current.delimiter is None:
                beginning = next(self._chunks(current), b"")
                current = current.after_header(read_header(beginning, reader.columns))
            rows = read_rows(self._chunks(current), current.delimiter or "", current.place)
            for number, batch in enumerate(batches(rows, current.place)):
                if number and self.clock() + BATCH_TIME >= stop_at:
                    self.tickets.send_import(current.id)
                    logger.info("import handed on", extra={"import_id": current.id, "rows": current.rows})
                    return
                stored = current = self._store(stored, current, reader, batch)
        except UnreadableFileError as error:
            self._end(stored, str(error))
        else:
            self._end(stored)

    def _store(self, stored: Import, current: Import, reader: RowReader, batch: Sequence[Row]) -> Import:
        accepted, refusals = [], []
        for row in batch:
            read = _read_row(row, current.columns, reader)
            if isinstance(read, Refusal):
                refusals.append(read)
            else:
                accepted.append(read)
        self.stores[current.kind](current, accepted)
        after, kept = current.after(batch, refusals, self.clock())
        self.imports.replace(stored, after, kept)
        return after

    def _chunks(self, current: Import) -> Iterator[bytes]:
        for start in range(current.offset, current.size_bytes, CHUNK_BYTES):
            yield self.uploads.read(current.id, current.etag or "", start, CHUNK_BYTES)

    def _end(self, stored: Import, failure: str | None = None) -> None:
        over = stored.over(self.clock(), failure)
        self.imports.replace(stored, over)
        facts = {"import_id": over.id, "rows": over.rows, "refused": over.refused, "failure": failure}
        logger.info("import ended", extra=facts)


def _read_row(row: Row, columns: Sequence[str], reader: RowReader) -> Any:  # noqa: ANN401 - what the kind makes of it
    """Read a row; returns a `Refusal` if it is not as its kind has them."""
    if row.cells is None:
        return Refusal(row.line, "row", MALFORMED)
    if len(row.cells) != len(columns):
        return Refusal(row.line, "row", f"has {len(row.cells)} cells, where the header has {len(columns)}")
    try:
        return reader.read(dict(zip(columns, row.cells, strict=True)))
    except ValidationError as error:
        first, *others = error.errors
        return Refusal(row.line, first.field, "; ".join([first.message, *(f"{e.field}: {e.message}" for e in others)]))
