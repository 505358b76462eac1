"""The hours in which a client may be written to, by the clock on the client's wall.

One rule decides everything: the window is open at an instant if the clock then shows a time in `[from, to)`.
What follows from it where the clock is changed:

- Forward, and the opening time is skipped: it opens with the first instant after the gap, if that is still before
  the closing time.
- Forward, and the whole window is skipped: the clock never shows it, so it does not open that day.
- Back: it opens when the opening time is first shown. A window shown twice is open twice, and closed in between.
  Where the clock is set back into the window, it opens again at that instant.
- A date that a zone skips altogether (Pacific/Apia, 2011-12-30) has no window.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, Self

_DAY: Final = timedelta(days=1)
_CLOCK_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class LocalWindow:
    """The hours `[opens_at, closes_at)` of each local day; across midnight if `closes_at` is the earlier one.

    Raises:
        ValueError: both are the same, which could mean always as well as never.
    """

    opens_at: time
    closes_at: time

    def __post_init__(self) -> None:
        if self.opens_at == self.closes_at:
            raise ValueError("a window cannot open and close at the same time")

    @classmethod
    def parse(cls, opens_at: str, closes_at: str) -> Self:
        """Read two times of day, `HH:MM`, from 00:00 to 23:59; a window until midnight closes at 00:00.

        Raises:
            ValueError: one of them is not such a time, or both are the same.
        """
        return cls(_clock_time(opens_at), _clock_time(closes_at))


def is_open(window: LocalWindow, zone: tzinfo, now: datetime) -> bool:
    """Tell whether the wall clock of `zone` shows a time within the window at `now`, an aware time.

    Raises:
        ValueError: `now` is naive.
    """
    shown = _in_zone(now, zone).time()
    if window.opens_at < window.closes_at:
        return window.opens_at <= shown < window.closes_at
    return shown >= window.opens_at or shown < window.closes_at


def next_opening(window: LocalWindow, zone: tzinfo, now: datetime) -> datetime:
    """Return the first instant, in UTC and not before `now`, at which the window is open.

    Raises:
        ValueError: `now` is naive.
    """
    instant = _in_zone(now, UTC)
    while not is_open(window, zone, instant):
        # Exact as long as the clock is not changed before; if it is, look again from that change on.
        opening = instant + _until_shown(window.opens_at, instant.astimezone(zone).replace(tzinfo=None))
        instant = _offset_change(zone, instant, opening) or opening
    return instant


def _clock_time(text: str) -> time:
    if not _CLOCK_TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time of day from 00:00 to 23:59, HH:MM")
    return time.fromisoformat(text)


def _in_zone(instant: datetime, zone: tzinfo) -> datetime:
    # astimezone() would read a naive time by the clock of this machine.
    if instant.utcoffset() is None:
        raise ValueError("the time must be aware")
    # By way of UTC, because a time that is of this zone already comes back as it is, even if no clock shows it.
    return instant.astimezone(UTC).astimezone(zone)


def _until_shown(wanted: time, shown: datetime) -> timedelta:
    """Return how long a clock that nobody changes runs from `shown` until `wanted`: less than a day."""
    return (datetime.combine(shown, wanted) - shown) % _DAY


def _offset_change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """Return the first instant in `(start, end]`, at most a day, with another offset from UTC than `start`.

    Halving finds it, because no zone changes its offset twice within a day: in the IANA data up to 2026f,
    never less than three days lie between.
    """
    offset = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == offset:
        return None
    while end - start > timedelta.resolution:
        middle = start + (end - start) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            start = middle
        else:
            end = middle
    return end
