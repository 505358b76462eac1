from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.allowed import is_refused_by_rule, is_unrouted
from tests.fuzz.moments import moments, ordered

CURSOR = {"field": "cursor", "message": "is not a cursor of this list"}
ORDER = {"field": "end_at", "message": "must be after start_at"}
UNEXPLAINED = {"field": "end_at", "message": "must be an RFC 3339 time"}


@pytest.mark.parametrize("errors", [[CURSOR], [ORDER], [CURSOR, ORDER]])
def test_a_refusal_by_rules_alone_is_no_defect(errors: list[dict[str, str]]) -> None:
    assert is_refused_by_rule(422, {"errors": errors})


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (422, {"errors": [UNEXPLAINED]}),
        (422, {"errors": [ORDER, UNEXPLAINED]}),
        (422, {"errors": []}),
        (422, {}),
        (422, None),
        (400, {"errors": [ORDER]}),
    ],
)
def test_any_other_refusal_of_valid_data_is_a_defect(status: int, problem: object) -> None:
    assert not is_refused_by_rule(status, problem)


def test_only_methods_that_the_gateway_routes_to_nobody_may_be_refused_by_it() -> None:
    refused = {"message": "Missing Authentication Token"}
    assert is_unrouted("TRACE", 403, refused)
    assert not is_unrouted("PUT", 403, refused)
    assert not is_unrouted("TRACE", 403, {"message": "Forbidden"})
    assert not is_unrouted("TRACE", 500, refused)


@given(moments(), moments())
def test_most_ends_come_after_their_start(start_at: str, end_at: str) -> None:
    moved = ordered(start_at, end_at)
    lasts = datetime.fromisoformat(moved) - datetime.fromisoformat(start_at)
    assert moved == end_at or timedelta(0) < lasts <= timedelta(days=30, hours=1)


@given(st.text(), moments())
def test_what_is_no_time_is_left_alone(text: str, moment: str) -> None:
    assert ordered(text, moment) == moment
    assert ordered(moment, text) == text
