"""Whom a mailing can reach: whose window opens before its end, and how many of those a limited rate can serve.

At a limited rate clients of all zones share the time. In how much of it which zones are open together decides on how
many can be served, not in which order that time comes: a flow from zones to sets of open zones, its maximum found by
augmenting paths (Edmonds and Karp, 1972).
"""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import pairwise

from chalicelib.domain.local_window import LocalWindow, next_opening
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

_SECOND = timedelta(seconds=1)
_Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a mailing can reach.

    Attributes:
        opens_at: by time zone, when the first request may begin; None: at no time before the end.
        reachable: how many clients, at most: senders that are slower than the rate reach fewer.
        too_late, window, timezone, rate: how many cannot be reached, because the mailing is over before a request may
            begin; their window does not open in time; their zone is unknown, and so when it does; the rate is too low.
    """

    opens_at: Mapping[str, datetime | None]
    reachable: int
    too_late: int
    window: int
    timezone: int
    rate: int


def reach(
    clients: Mapping[str, int], window: LocalWindow | None, begin: datetime, end: datetime, per_second: float | None
) -> Reach:
    """Say whom a mailing can reach.

    Args:
        clients: by time zone, how many.
        window: the hours of each client's own day, None for all of them.
        begin: no request before it.
        end: no request from it on.
        per_second: requests at most; None for no limit.
    """
    opens_at: dict[str, datetime | None] = {}
    lost: Counter[str] = Counter()
    wanted: Counter[tuple[_Interval, ...]] = Counter()
    for name, number in clients.items():
        opens_at[name] = None
        try:
            zone = resolve_timezone(name) if window else None
        except UnknownTimezoneError:
            lost["timezone"] += number
            continue
        intervals = _open_intervals(window, zone, begin, end, first_only=per_second is None)
        if intervals:
            opens_at[name] = intervals[0][0]
            wanted[intervals] += number
        else:
            lost["window" if begin < end else "too_late"] += number
    reachable = wanted.total()
    if per_second is not None:
        reachable = most_served(list(wanted.values()), _capacities(list(wanted), per_second))
        lost["rate"] = wanted.total() - reachable
    return Reach(opens_at, reachable, lost["too_late"], lost["window"], lost["timezone"], lost["rate"])


def _open_intervals(
    window: LocalWindow | None, zone: tzinfo | None, begin: datetime, end: datetime, *, first_only: bool
) -> tuple[_Interval, ...]:
    """List the times `[from, to)` at which requests to one zone may begin; of those maybe only the first."""
    if window is None or zone is None:
        return ((begin, end),) if begin < end else ()
    closed = LocalWindow(window.closes_at, window.opens_at)  # open whenever the window is not
    intervals = []
    opens_at = next_opening(window, zone, begin)
    while opens_at < end:
        closes_at = min(next_opening(closed, zone, opens_at), end)
        intervals.append((opens_at, closes_at))
        if first_only:
            break
        opens_at = next_opening(window, zone, closes_at)
    return tuple(intervals)


def _capacities(groups: Sequence[tuple[_Interval, ...]], per_second: float) -> Mapping[frozenset[int], int]:
    """Count the requests that can be made while just these groups are open, by their indexes."""
    lasting: dict[frozenset[int], timedelta] = defaultdict(timedelta)
    for start, stop, together in _slices(groups):
        lasting[together] += stop - start
    rate = Fraction(str(per_second))  # as it was written: 0.3 is a little less than that
    return {together: math.floor(rate * Fraction(time / _SECOND)) for together, time in lasting.items() if together}


def _slices(groups: Sequence[tuple[_Interval, ...]]) -> Iterator[tuple[datetime, datetime, frozenset[int]]]:
    """Cut time wherever a group opens or closes."""
    changes: dict[datetime, set[int]] = defaultdict(set)
    for index, intervals in enumerate(groups):
        for interval in intervals:
            for moment in interval:
                changes[moment] ^= {index}  # one that closes and opens at once does neither
    together: frozenset[int] = frozenset()
    for start, stop in pairwise(sorted(changes)):
        together ^= changes[start]
        yield start, stop, together


def most_served(wanted: Sequence[int], capacities: Mapping[frozenset[int], int]) -> int:
    """Say how many can be served at most.

    Args:
        wanted: by group, how many want to be.
        capacities: by set of groups (their indexes), how many there can be of these groups together.
    """
    free = dict(capacities)
    served: Counter[tuple[int, frozenset[int]]] = Counter()
    total = 0
    for group, number in enumerate(wanted):
        left = number
        while left and (path := _way_to_free(group, free, served)):
            last = path[-1][1]
            makes_room = [served[later, before] for (_, before), (later, _) in pairwise(path)]
            moved = min(left, free[last], *makes_room)
            for taken in path:
                served[taken] += moved
            for (_, before), (later, _) in pairwise(path):
                served[later, before] -= moved
            free[last] -= moved
            left -= moved
        total += number - left
    return total


def _way_to_free(
    group: int, free: Mapping[frozenset[int], int], served: Mapping[tuple[int, frozenset[int]], int]
) -> list[tuple[int, frozenset[int]]] | None:
    """Find the shortest row of changes by which one more of a group is served: each takes another one's place."""
    ways: deque[list[tuple[int, frozenset[int]]]] = deque([[]])
    seen_groups, seen_sets = {group}, set[frozenset[int]]()
    ends = deque([group])
    while ways:
        way, at = ways.popleft(), ends.popleft()
        for together in free:
            if at not in together or together in seen_sets:
                continue
            seen_sets.add(together)
            longer = [*way, (at, together)]
            if free[together]:
                return longer
            for other in together - seen_groups:
                if served[other, together]:
                    seen_groups.add(other)
                    ways.append(longer)
                    ends.append(other)
    return None
