from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.drift import Census, ComparedCounter, compare, missing_rows
from chalicelib.domain.message import Message, Reason, Status
from tests.builders import message, ulid
from tests.fakes.messages import recount

ROWS = [
    message(client_id=ulid(1), status=Status.SENT, attempts=3, uncertain=1),
    message(client_id=ulid(2), status=Status.FAILED, reason=Reason.REFUSED, attempts=1),
    message(client_id=ulid(3), status=Status.DEFERRED, reason=Reason.WINDOW),
    message(client_id=ulid(4)),
]
COUNTS = {
    "queued": 1,
    "deferred": 1,
    "deferred.window": 1,
    "sent": 1,
    "failed": 1,
    "failed.refused": 1,
    "attempts": 4,
    "uncertain": 1,
}
some_rows = st.lists(
    st.builds(
        lambda client, status, reason, attempts, uncertain: message(
            client_id=ulid(client), status=status, reason=reason, attempts=attempts, uncertain=uncertain
        ),
        st.integers(1, 9),
        st.sampled_from(Status),
        st.sampled_from([None, *Reason]),
        st.integers(0, 5),
        st.integers(0, 5),
    )
)


def differences(counts: dict[str, int]) -> dict[str, int]:
    compared = compare(Counter(counts), Census.of(ROWS))
    return {counter.name: counter.difference for counter in compared if counter.difference}


def test_a_census_counts_statuses_reasons_attempts_and_uncertain_requests() -> None:
    assert Census.of(ROWS).counts == COUNTS


@given(some_rows, some_rows)
def test_a_census_is_the_same_however_the_rows_are_dealt_out(some: list[Message], others: list[Message]) -> None:
    assert Census.of(some) + Census.of(others) == Census.of([*others, *some])
    assert Census.of(some).counts == recount(some)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_a_census_tells_that_a_row_was_written_though_it_counts_the_same(row: int) -> None:
    written = [replace(each, version="v2") if n == row else each for n, each in enumerate(ROWS)]
    assert Census.of(written).counts == Census.of(ROWS).counts
    assert Census.of(written) != Census.of(ROWS)


def test_a_census_tells_two_rows_from_two_others_of_the_same_versions() -> None:
    first, second = ROWS[3], message(client_id=ulid(5))
    assert Census.of([first, first]) != Census.of([first, second])


def test_counters_that_say_what_rows_do_differ_in_nothing() -> None:
    assert differences(COUNTS) == {}
    assert differences(COUNTS | {"expired": 0}) == {}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("by", [-1, 1, 5])
def test_each_counter_of_rows_is_compared(name: str, by: int) -> None:
    assert differences(COUNTS | {name: COUNTS[name] + by}) == {name: by}


def test_a_counter_that_is_missing_or_of_no_row_differs_too() -> None:
    absent = {name: number for name, number in COUNTS.items() if name != "failed.refused"}
    assert differences(absent | {"expired": 2}) == {"expired": 2, "failed.refused": -1}


def test_what_no_row_says_is_left_out() -> None:
    assert differences(COUNTS | {"error.http_503": 7, "something.else": 1}) == {}


def test_counters_stand_in_order_of_name_and_nothing_is_not_shown() -> None:
    compared = compare(Counter({"sent": 2, "expired": 0, "cancelled": 1}), Census(Counter({"sent": 1, "queued": 1})))
    assert compared == (
        ComparedCounter("cancelled", rows=0, counted=1),
        ComparedCounter("queued", rows=1, counted=0),
        ComparedCounter("sent", rows=1, counted=2),
    )


@pytest.mark.parametrize(
    ("counts", "missing"),
    [({}, 0), ({"sent": 3}, 2), ({"queued": 0}, -1), ({"sent": 2, "queued": 0}, 0), ({"failed.refused": 9}, 0)],
)
def test_rows_are_missing_where_more_messages_are_counted_than_there_are(counts: dict[str, int], missing: int) -> None:
    assert missing_rows(compare(Counter(COUNTS | counts), Census.of(ROWS))) == missing
