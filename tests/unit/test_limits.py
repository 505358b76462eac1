from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.limits import Slots, rows_at_once, share_in_flight, slots_at_once
from tests.builders import NOW


@pytest.mark.parametrize(
    ("per_second", "slots", "rows"),
    [
        (0.1, 4, 1),
        (0.6, 4, 2),
        (5, 4, 10),
        (16, 4, 32),
        (17, 5, 34),
        (200, 50, 400),
        (201, 50, 402),
        (999, 50, 1998),
    ],
)
def test_a_sender_takes_a_quarter_of_a_second_and_rows_for_two(per_second: float, slots: int, rows: int) -> None:
    assert (slots_at_once(per_second), rows_at_once(per_second)) == (slots, rows)


def test_slots_are_evenly_spread() -> None:
    slots = Slots(NOW, timedelta(microseconds=333), 3)
    assert list(slots.moments()) == [NOW, NOW + timedelta(microseconds=333), NOW + timedelta(microseconds=666)]


def test_each_sender_takes_half_of_what_is_free() -> None:
    taken, shares = 0, []
    for _ in range(8):
        shares.append(share_in_flight(50, taken))
        taken += shares[-1]
    assert shares == [25, 13, 6, 3, 2, 1, 0, 0]


@given(st.integers(1, 1000), st.integers(0, 2000))
def test_shares_never_pass_the_limit_and_somebody_always_has_one(limit: int, taken: int) -> None:
    share = share_in_flight(limit, taken)
    assert 0 <= share <= max(limit - taken, 0)
    assert (share > 0) == (taken < limit)
