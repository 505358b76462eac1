"""What the provider allows, shared among senders: requests a second, and requests at once. Pure."""

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
STALE_SLOT = timedelta(milliseconds=250)  # a slot is good for so long: late threads use it, a pause makes no burst
_SHORTEST_SHARE, _LARGEST_SHARE = 4, 50


@dataclass(frozen=True, slots=True)
class Slots:
    """Moments at which one request each may start, evenly spread: a sender's share of the rate."""

    first: datetime
    interval: timedelta
    count: int

    def moments(self) -> "deque[datetime]":
        """List them."""
        return deque(self.first + number * self.interval for number in range(self.count))


def slots_at_once(per_second: float) -> int:
    """Say how many slots a sender reserves with one write: a quarter of a second's, so that none waits long."""
    return min(max(math.ceil(per_second / 4), _SHORTEST_SHARE), _LARGEST_SHARE)


def rows_at_once(per_second: float) -> int:
    """Say how many rows a sender takes at once: two seconds' worth, so that it gives few back."""
    return max(math.ceil(2 * per_second), 1)


def share_in_flight(limit: int, taken: int) -> int:
    """Say how many requests at once a sender may make beside others: half of what is free, for those who come later.

    The first has half of the limit, five senders have nearly all of it.
    """
    return math.ceil(max(limit - taken, 0) / 2)
