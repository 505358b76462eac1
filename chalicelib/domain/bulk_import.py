"""Bulk imports: how far one is, and what came of its rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.csv_rows import Header, Place, Row, UnreadableFileError

UPLOAD_TIME = timedelta(hours=1)  # for which the permission to upload is good
UPLOAD_SLACK = timedelta(minutes=30)  # an upload that began in time may end later
LOOK_AGAIN = timedelta(minutes=7)  # above the visibility timeout of the import queue
KEPT = timedelta(days=30)
MAX_BYTES = 200 * 1024 * 1024
MAX_TRIES = 10  # runs that come to no row boundary
MAX_LISTED = 100_000  # refused rows that are kept; all are counted
BATCH_ROWS = 500
BATCH_BYTES = 1024 * 1024


class ImportKind(StrEnum):
    """What the rows are."""

    CLIENTS = "clients"
    SUPPRESSIONS = "suppressions"


class ImportStatus(StrEnum):
    """Where an import is."""

    WAITING = "waiting"  # for its file
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"  # the file could not be read, or not to its end; what was read of it counts


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not imported: the field (`row`: the row as a whole) and what is wrong. Never a value."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows created something, and how many changed something."""

    created: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """An import.

    Attributes:
        etag: of the file that is read; another that takes its place is not mixed with it.
        offset: bytes before the next row, always a row boundary.
        line: the number of the line that begins there.
        delimiter, columns: of the header, once it is read.
        rows, refused: of what lies before `offset`.
        listed: how many refusals are kept.
        tries: runs since the last row boundary was reached.
        failure: why it failed.
        due_at: the moment after which somebody must look at it again; None once it has ended.
    """

    id: str
    kind: ImportKind
    status: ImportStatus
    created_at: datetime
    expires_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    etag: str | None = None
    size_bytes: int = 0
    offset: int = 0
    line: int = 1
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    rows: int = 0
    refused: int = 0
    listed: int = 0
    tries: int = 0
    failure: str | None = None
    due_at: datetime | None = None
    version: int = 1

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to do."""
        return self.due_at is None

    @property
    def place(self) -> Place:
        """Where the next row begins."""
        return Place(self.offset, self.line)

    def unchanged(self, tally: Tally) -> int:
        """Count the rows that changed nothing: those that did anything else are counted with what they did."""
        return max(self.rows - self.refused - tally.created - tally.changed, 0)

    def begun(self, now: datetime, size_bytes: int, etag: str) -> "Import":
        """Make it what it is once somebody begins, or goes on, to read its file."""
        first = self.status is ImportStatus.WAITING
        return replace(
            self,
            status=ImportStatus.RUNNING,
            started_at=now if first else self.started_at,
            size_bytes=size_bytes if first else self.size_bytes,
            etag=etag if first else self.etag,
            tries=self.tries + 1,
            due_at=now + LOOK_AGAIN,
            version=self.version + 1,
        )

    def after_header(self, header: Header) -> "Import":
        """Move on to the first row."""
        return replace(
            self,
            delimiter=header.delimiter,
            columns=header.columns,
            offset=header.end.offset,
            line=header.end.line,
        )

    def after(self, rows: Sequence[Row], refusals: Sequence[Refusal], now: datetime) -> "tuple[Import, list[Refusal]]":
        """Move on behind rows; returns also which of their refusals are kept."""
        kept = list(refusals[: MAX_LISTED - self.listed])
        end = rows[-1].end
        moved = replace(
            self,
            offset=end.offset,
            line=end.line,
            rows=self.rows + len(rows),
            refused=self.refused + len(refusals),
            listed=self.listed + len(kept),
            tries=0,
            due_at=now + LOOK_AGAIN,
            version=self.version + 1,
        )
        return moved, kept

    def over(self, now: datetime, failure: str | None = None) -> "Import":
        """End it: finished, or failed if something is said."""
        return replace(
            self,
            status=ImportStatus.FAILED if failure else ImportStatus.FINISHED,
            finished_at=now,
            failure=failure,
            offset=self.offset if failure else self.size_bytes,
            due_at=None,
            version=self.version + 1,
        )


def batches(rows: Iterable[Row], start: Place) -> Iterator[list[Row]]:
    """Cut rows into pieces of bounded size; where depends on the file alone, so that whoever repeats one repeats all.

    Raises:
        UnreadableFileError: the file cannot be read on; the rows before that have come.
    """
    batch: list[Row] = []
    fault = None
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH_ROWS or row.end.offset - start.offset >= BATCH_BYTES:
                yield batch
                start, batch = row.end, []
    except UnreadableFileError as error:
        fault = error
    if batch:
        yield batch
    if fault:
        raise fault
