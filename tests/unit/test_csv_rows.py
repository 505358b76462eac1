import csv
import io
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.csv_rows import (
    MALFORMED,
    MAX_ROW_BYTES,
    Columns,
    Header,
    Place,
    UnreadableFileError,
    read_header,
    read_rows,
)

WANTED = Columns(("phone", "timezone"), ("tag",))
CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=8)


def cells(*chunks: bytes, delimiter: str = ",") -> list[list[str] | None]:
    return [row.cells for row in read_rows(chunks, delimiter, Place())]


def written(table: Iterable[Iterable[str]], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(table)
    return text.getvalue().encode()


@given(table=TABLES, delimiter=st.sampled_from(",;"), cuts=st.lists(st.integers(0, 200)), bom=st.booleans())
def test_whatever_pieces_the_bytes_come_in_the_rows_are_the_same(
    table: list[list[str]], delimiter: str, cuts: list[int], *, bom: bool
) -> None:
    content = b"\xef\xbb\xbf" * bom + written(table, delimiter)
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    pieces = [content[start:end] for start, end in pairwise(edges)]
    assert cells(*pieces, delimiter=delimiter) == table


@given(table=TABLES, start=st.integers(0, 8))
def test_somebody_else_can_go_on_behind_each_row(table: list[list[str]], start: int) -> None:
    content = written(table, ",")
    whole = list(read_rows([content], ",", Place()))
    for row in whole[start : start + 1]:
        rest = list(read_rows([content[row.end.offset :]], ",", row.end))
        assert rest == whole[start + 1 :]


@given(st.binary(max_size=300), st.sampled_from(",;"))
def test_whatever_bytes_come_end_in_rows_or_in_a_clear_word(content: bytes, delimiter: str) -> None:
    places = [0]
    with suppress(UnreadableFileError):
        for row in read_rows([content], delimiter, Place()):
            assert places[-1] < row.end.offset <= len(content)
            places.append(row.end.offset)


def test_a_row_knows_the_line_in_which_it_begins() -> None:
    rows = list(read_rows([b'a,"one\ntwo"\n\nb,c\r\nd,e'], ",", Place()))
    assert [(row.line, row.cells) for row in rows] == [(1, ["a", "one\ntwo"]), (4, ["b", "c"]), (5, ["d", "e"])]
    assert rows[-1].end == Place(21, 6)


@pytest.mark.parametrize("broken", [b'"a"b,c\n', b"a,b\rc,d\n"])
def test_a_malformed_row_is_told_and_the_others_go_on(broken: bytes) -> None:
    assert cells(b"x,y\n", broken, b"z,z\n") == [["x", "y"], None, ["z", "z"]]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a,b\n\xff\xfe,c\n", "line 2 is not UTF-8"),
        ("a,b\nЮля,c\n".encode("cp1251"), "line 2 is not UTF-8"),
        (b"a,b\nc,\0d\n", "line 2 holds a NUL byte"),
        (b'a,b\nc,"d\ne,f\n', "line 2: a quote is opened that is never closed"),
        (b"a,b\n" + b"c" * (MAX_ROW_BYTES + 1), "line 2: the row is longer than 65536 bytes"),
        (b'a,b\nc,"' + b"d\n" * MAX_ROW_BYTES, "line 2: the row is longer than 65536 bytes"),
    ],
    ids=["utf-16", "cp1251", "nul", "unclosed", "long line", "long quote"],
)
def test_what_cannot_be_read_on_is_said_with_its_line(content: bytes, word: str) -> None:
    rows = read_rows([content], ",", Place())
    assert next(rows).cells == ["a", "b"]
    with pytest.raises(UnreadableFileError, match=word):
        list(rows)


def test_a_row_may_be_as_long_as_the_limit() -> None:
    assert cells(b"c" * (MAX_ROW_BYTES - 1) + b"\n") == [["c" * (MAX_ROW_BYTES - 1)]]


@pytest.mark.parametrize(
    ("begins", "goes_on"), [(b"", b"x"), (b'"', b"x\n"), (b"", b'"",')], ids=["line", "quoted", "cells"]
)
def test_a_line_of_80_mb_takes_no_more_memory_than_a_row_may_have(begins: bytes, goes_on: bytes) -> None:
    pulled = 0

    def pieces() -> Iterator[bytes]:
        nonlocal pulled
        yield begins
        for _ in range(80):
            pulled += 1
            yield goes_on * (1_000_000 // len(goes_on))

    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError, match="longer than"):
            list(read_rows(pieces(), ",", Place()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pulled == 1
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"phone,timezone\n7,x\n", Header(",", ("phone", "timezone"), Place(15, 2))),
        (b"\xef\xbb\xbfTimezone; Phone ;tag\r\n", Header(";", ("timezone", "phone", "tag"), Place(25, 2))),
        (b'\n"phone";"timezone"', Header(";", ("phone", "timezone"), Place(19, 3))),
    ],
)
def test_the_header_says_columns_and_delimiter(content: bytes, header: Header) -> None:
    assert read_header(content, WANTED) == header


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b"phone,tag\n", "the header lacks timezone; there may be phone, timezone, tag"),
        (b"tag\n", "the header lacks phone and timezone"),
        (b"phone,timezone,name\n", "the header's column 3 is 'name'; there may be phone, timezone, tag"),
        (b"79161234567;Europe/Moscow\n", "the header's column 1 is no name"),
        (b"phone,timezone,phone\n", "the header has the column 'phone' twice"),
        (b'"phone"x,timezone\n', f"the header {MALFORMED}"),
        (b"PK\x03\x04\x14\0", "the file is a zip archive"),
        (b"\x7fELF\x02\x01\0\0\n", "line 1 holds a NUL"),
        (b"\x1f\x8b\x08\n", "line 1 is not UTF-8"),
        (b"phone," * 20_000, "line 1: the row is longer"),
    ],
)
def test_a_header_that_is_not_as_wanted_is_refused_with_the_reason(content: bytes, word: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read_header(content, WANTED)
    assert str(caught.value).startswith(word)
    assert "7916" not in str(caught.value)
