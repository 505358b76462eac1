from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.journal import FUNCTIONS, Line, Subject
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.services.read_journal import Journal, ReadJournal
from tests.builders import NOW, ulid

MAILING = Subject("mailing", ulid(100))
DAY, SECOND, MILLISECOND = timedelta(days=1), timedelta(seconds=1), timedelta(milliseconds=1)


def line(second: float, message: str = "x", function: str = "sender", **fields: object) -> Line:
    at = NOW + timedelta(seconds=second)
    return Line(at, at, function, f"{message} {fields}", {"message": message, "mailing_id": MAILING.id} | fields)


class FakeLogs:
    """Logs in memory: each answer holds one line; a call takes a second (port: `FunctionLogs`)."""

    def __init__(self, *lines: Line, errors: Mapping[str, Exception] | None = None) -> None:
        self.now = NOW
        self.calls = 0
        self._lines = lines
        self._errors = errors or {}

    def clock(self) -> datetime:
        return self.now

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:
        for each in self._lines:
            if each.function == function and each.received_at >= since and all(term in each.raw for term in terms):
                self.calls += 1
                self.now += SECOND
                yield [each]
        if function in self._errors:
            raise self._errors[function]

    def journal(self, subject: Subject = MAILING, since: datetime = NOW - DAY, **options: object) -> Journal:
        return ReadJournal(self, self.clock)(subject, since, **options)  # type: ignore[arg-type]


def named(*lines: Line) -> tuple[Line, ...]:
    """Make lines whose text holds the id of their mailing, as those of a log do."""
    return tuple(
        Line(each.at, each.received_at, each.function, f"{each.raw} {each.fields['mailing_id']}", each.fields)
        for each in lines
    )


def test_lines_of_all_functions_are_told_in_the_order_of_time() -> None:
    late, early = named(line(2), line(1, function="api"))
    assert FakeLogs(late, early).journal() == Journal([early, late], None)


def test_answered_reads_are_left_out_unless_asked_for() -> None:
    read, failed = named(line(1, method="GET", status=200), line(2, method="GET", status=503))
    assert FakeLogs(read, failed).journal().lines == [failed]
    assert FakeLogs(read, failed).journal(reads=True).lines == [read, failed]


def test_a_message_has_the_milestones_of_its_mailing() -> None:
    started, planned, requested = named(
        line(1, "mailing started", "planner"), line(2, "segment done"), line(3, "requested", message_id=7)
    )
    assert FakeLogs(started, planned, requested).journal(Subject("message", "7")).lines == [started, requested]


def test_a_limit_cuts_between_milliseconds_and_says_where_to_go_on() -> None:
    lines = named(line(1), line(1, function="api"), line(2), line(3, function="api"), line(4))
    logs = FakeLogs(*lines)
    first = logs.journal(limit=3)
    assert (set(map(id, first.lines)), first.next) == (set(map(id, lines[:3])), NOW + 3 * SECOND)
    rest = logs.journal(since=first.next or NOW, limit=3)
    assert (rest.lines, rest.next) == ([*lines[3:]], None)


def test_more_in_one_millisecond_than_the_limit_is_told_whole() -> None:
    lines = named(*(line(1, f"{number}") for number in range(4)), line(2))
    first = FakeLogs(*lines).journal(limit=2)
    assert (len(first.lines), first.next) == (4, NOW + SECOND + MILLISECOND)


def test_no_function_is_read_further_than_the_limit_needs() -> None:
    logs = FakeLogs(*named(*(line(number) for number in range(100))))
    logs.journal(limit=3)
    assert logs.calls <= 5


def test_time_is_kept_and_what_is_unfinished_is_named() -> None:
    logs = FakeLogs(*named(*(line(number, function="api") for number in range(100))))
    found = logs.journal(within=3 * SECOND)
    assert logs.calls == 3
    assert "api" in found.unfinished
    assert len(found.lines) == 3


def test_a_log_that_fails_is_named_and_the_others_are_told() -> None:
    told, cut_off = named(line(1, function="api"), line(2))
    found = FakeLogs(told, cut_off, errors={"sender": TransientError("no"), "planner": NotFoundError("none")}).journal()
    assert found == Journal([told, cut_off], None, failed=(("sender", "no"),), missing=("planner",))


@pytest.mark.parametrize("limit", [None, 5])
def test_no_log_at_all_is_told_as_such(limit: int | None) -> None:
    found = FakeLogs(errors=dict.fromkeys(FUNCTIONS, NotFoundError("none"))).journal(limit=limit)
    assert found == Journal([], None, missing=FUNCTIONS)
