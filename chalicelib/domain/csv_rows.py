"""CSV as it arrives: rows out of bytes, in bounded memory, each with the place where it ends.

The standard library parses. It asks for lines one at a time, and for no more than a row needs; so what it has taken by
then is where the row ends, and where somebody else may go on.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.errors import PermanentError

MAX_ROW_BYTES = 65_536  # below the 131,072 characters that `csv` allows a field
MALFORMED = "is not well-formed CSV: something follows a closing quote, or a line ends within a row"
_ZIP = b"PK\x03\x04"
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_DELIMITERS = (",", ";")
_NAME = re.compile(r"[A-Za-z_ ]{1,32}")


class UnreadableFileError(PermanentError):
    """The file cannot be read from some line on; the message says why, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row boundary: how many bytes are before it, and the number of the line that begins there."""

    offset: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A row; `line` is that in which it begins. `cells` is None if it is malformed."""

    line: int
    cells: list[str] | None
    end: Place


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a file must have, and which it may have, in any order."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What the first row says."""

    delimiter: str
    columns: tuple[str, ...]
    end: Place


def read_rows(chunks: Iterable[bytes], delimiter: str, start: Place) -> Iterator[Row]:
    """Read rows from a row boundary on, whatever pieces the bytes come in. Blank lines are no rows.

    Raises:
        UnreadableFileError: not UTF-8, a NUL, a quote that is never closed, or a row above 64 KiB.
    """
    lines = _Lines(chunks, start)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if lines.ended:
                raise UnreadableFileError(f"line {line}: a quote is opened that is never closed") from error
            yield Row(line, None, lines.place)
        else:
            if cells:
                yield Row(line, cells, lines.place)


def read_header(beginning: bytes, wanted: Columns) -> Header:
    """Read the header: names of columns, between commas or semicolons.

    Args:
        beginning: of the file; more than 64 KiB, or all of it.
        wanted: which columns there must and may be.

    Raises:
        UnreadableFileError: there is none, or one that is not as wanted.
    """
    if beginning.startswith(_ZIP):
        raise UnreadableFileError("the file is a zip archive, as spreadsheets are; save it as CSV in UTF-8")
    known = {*wanted.required, *wanted.optional}
    headers = [_header(beginning, delimiter) for delimiter in _DELIMITERS]
    header = max(headers, key=lambda header: len(known.intersection(header.columns)))
    if not header.columns:
        raise UnreadableFileError(f"the header {MALFORMED}")
    may_be = f"there may be {', '.join((*wanted.required, *wanted.optional))}"
    for number, name in enumerate(header.columns, 1):
        if name not in known:
            # What is no name may be the first client of a file without a header.
            shown = f"{name!r}" if _NAME.fullmatch(name) else "no name"
            raise UnreadableFileError(f"the header's column {number} is {shown}; {may_be}")
        if header.columns.index(name) != number - 1:
            raise UnreadableFileError(f"the header has the column {name!r} twice")
    if missing := [name for name in wanted.required if name not in header.columns]:
        raise UnreadableFileError(f"the header lacks {' and '.join(missing)}; {may_be}")
    return header


def _header(beginning: bytes, delimiter: str) -> Header:
    row = next(read_rows([beginning], delimiter, Place()), None)
    if row is None:
        raise UnreadableFileError("the file is empty; its first line must name the columns")
    # Quoted names are malformed between delimiters that are none.
    return Header(delimiter, tuple(cell.strip().lower() for cell in row.cells or ()), row.end)


class _Lines:
    """Lines of text out of bytes that come in pieces; knows what it has handed out."""

    def __init__(self, chunks: Iterable[bytes], start: Place) -> None:
        self.place = start
        self.ended = False
        self._row = start
        self._chunks = iter(chunks)
        self._buffer = b""
        self._at = 0

    def begin_row(self) -> int:
        """Note that a row begins here; returns its line."""
        self._row = self.place
        return self._row.line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._raw_line()
        if not raw:
            self.ended = True
            raise StopIteration
        number = self.place.line
        if b"\0" in raw:
            raise UnreadableFileError(f"line {number} holds a NUL byte: the file is not text")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise UnreadableFileError(f"line {number} is not UTF-8; save the file as CSV in UTF-8") from error
        if self.place.offset == 0:
            text = text.removeprefix(_BOM)
        self.place = Place(self.place.offset + len(raw), number + 1)
        return text

    def _raw_line(self) -> bytes:
        # Of a line that never ends no more is read than a row may have.
        before = self.place.offset - self._row.offset
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            chunk = next(self._chunks, None) if before + len(self._buffer) - self._at <= MAX_ROW_BYTES else None
            if chunk is None:
                end = len(self._buffer) - 1
                break
            self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        raw, self._at = self._buffer[self._at : end + 1], end + 1
        if before + len(raw) > MAX_ROW_BYTES:
            raise UnreadableFileError(
                f"line {self._row.line}: the row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?"
            )
        return raw
