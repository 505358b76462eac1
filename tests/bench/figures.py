"""What becomes of raw measurements: percentiles, rates, and the moment at which a rate is reached again. Pure."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

RAMP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """How measured values are spread; in their own unit. `values` are all of them, as they came."""

    count: int
    p50: float
    p95: float
    p99: float
    largest: float
    values: tuple[float, ...] = field(repr=False)

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Describe values, at least one."""
        p50, p95, p99 = (percentile(values, percent) for percent in (50, 95, 99))
        return cls(len(values), p50, p95, p99, max(values), tuple(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed (nearest rank): one that did occur.

    Raises:
        ValueError: there are no values, or `percent` is not above 0 and at most 100.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no percentile {percent:g} of {len(values)} values")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def median_of(values: Sequence[float | None]) -> float | None:
    """Return the median over runs; None, a run that did not get there, counts as above all others."""
    reached = sorted(math.inf if value is None else value for value in values)
    median = statistics.median(reached)
    return None if math.isinf(median) else median


def rate_between(number: int, first_at: str, last_at: str) -> float:
    """Return how many a second there were between two moments (RFC 3339)."""
    seconds = (datetime.fromisoformat(last_at) - datetime.fromisoformat(first_at)).total_seconds()
    return number / seconds


def steady_rate(moments: Sequence[float], until: float) -> float:
    """Return the median of what happened in each whole second before `until`, without the first second.

    Args:
        moments: in order, seconds.
        until: where the last of these seconds ends.

    Raises:
        ValueError: there is no such second.
    """
    begin = moments[0] + RAMP_SECONDS if moments else until
    seconds = int(until - begin)
    if seconds < 1:
        raise ValueError("too short for a rate: not a second between its ramp and its end")
    return statistics.median(_within(moments, until - second - 1) for second in range(seconds))


def full_rate_after(moments: Sequence[float], since: float, per_second: float) -> float | None:
    """Return how long after `since` the first second begins in which at least `per_second` happened; None: never.

    Args:
        moments: in order, seconds.
        since: from when on to look.
        per_second: the rate wanted.
    """
    for moment in moments[bisect_left(moments, since) :]:
        if _within(moments, moment) >= per_second:
            return moment - since
    return None


def _within(moments: Sequence[float], begin: float) -> int:
    """Count what happened in the second that begins then."""
    return bisect_left(moments, begin + 1) - bisect_left(moments, begin)
