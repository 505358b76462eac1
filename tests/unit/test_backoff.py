from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.backoff import Backoff

BACKOFF = Backoff(base_seconds=2, cap_seconds=900)


def highest(_low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("attempts", "ceiling"), [(1, 2), (2, 4), (3, 8), (5, 32), (9, 512), (10, 900), (11, 900), (1000, 900)]
)
def test_the_longest_wait_doubles_with_each_attempt_up_to_the_cap(attempts: int, ceiling: float) -> None:
    assert BACKOFF.delay(attempts, highest) == timedelta(seconds=ceiling)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_a_wait_is_drawn_from_all_between_nothing_and_the_ceiling(attempts: int, share: float) -> None:
    drawn_from = []

    def draw(low: float, high: float) -> float:
        drawn_from.append((low, high))
        return low + (high - low) * share

    delay = BACKOFF.delay(attempts, draw)
    ((low, high),) = drawn_from
    assert low == 0
    assert 2 <= high <= 900
    assert delay == timedelta(seconds=high * share)
