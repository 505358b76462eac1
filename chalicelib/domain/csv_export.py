"""CSV for spreadsheets and for imports alike: nothing in a cell is taken for a formula, and it reads back as it was.

A cell that a spreadsheet would calculate gets an apostrophe before it (OWASP, "CSV Injection"); so does one that begins
with an apostrophe, so that taking one away always gives back what was meant.
"""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # without which spreadsheets do not take it for UTF-8
_FULLWIDTH = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_GUARDED = frozenset(f"'=+-@\t\r\n{_FULLWIDTH}")


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a header and rows, every cell quoted and guarded, with the mark that spreadsheets know UTF-8 by."""
    written = StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return _BOM + written.getvalue()


def guarded(cell: str) -> str:
    """Put an apostrophe before what would be a formula, or would be taken for guarded."""
    return f"'{cell}" if cell[:1] in _GUARDED else cell


def unguarded(cell: str) -> str:
    """Take away the apostrophe that `guarded` put there; any other stays."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _GUARDED else cell
