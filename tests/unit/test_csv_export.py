import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.csv_export import guarded, unguarded, write_rows


@pytest.mark.parametrize(
    "cell", ["=1+1", "+7", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]
)
def test_a_formula_is_text(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "vip", "1=1", "79161234567", "Europe/Moscow"])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert guarded(cell) == unguarded(cell) == cell


@given(st.text() | st.sampled_from(["'", "''", "'=", "''=", "'a", "='", "'-'"]))
def test_a_cell_is_read_as_it_was_and_never_begins_a_formula(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert guarded(cell)[:1] not in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def test_an_apostrophe_that_guards_nothing_stays() -> None:
    assert unguarded("'tis") == "'tis"


def test_a_file_begins_with_a_mark_and_a_header_and_quotes_each_cell() -> None:
    written = write_rows(("phone", "tag"), [("79161234567", 'a "b"; c'), ("79161234568", "=1")])
    assert written[0] == "\ufeff"
    assert written[1:].splitlines()[0] == '"phone","tag"'
    rows = list(csv.reader(StringIO(written[1:])))
    assert rows == [["phone", "tag"], ["79161234567", 'a "b"; c'], ["79161234568", "'=1"]]
