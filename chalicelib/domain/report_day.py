"""Days of reports, by the calendar on the wall of a time zone: when they begin, and when the report of one is due."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self

_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReportDay:
    """A day of a time zone, `[begins_at, ends_at)` in UTC: 24 hours long, or 23 or 25 where the clock is changed.

    Days follow each other without a gap. One that a zone leaves out (Pacific/Apia, 2011-12-30) is without length.
    """

    local_date: date
    zone: tzinfo
    begins_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, day: date, zone: tzinfo) -> Self:
        """Find the day of a date."""
        return cls(day, zone, _first_instant(day, zone), _first_instant(day + _DAY, zone))

    @classmethod
    def at(cls, moment: datetime, zone: tzinfo) -> Self:
        """Find the day that the calendar shows at an aware moment."""
        return cls.of(moment.astimezone(zone).date(), zone)

    @property
    def before(self) -> "ReportDay":
        """The last day that had ended when this one began."""
        return ReportDay.at(self.begins_at - _MOMENT, self.zone)

    def has(self, moment: datetime | None) -> bool:
        """Tell whether a moment is within the day."""
        return moment is not None and self.begins_at <= moment < self.ends_at


def due(now: datetime, zone: tzinfo, hour: int) -> ReportDay | None:
    """Return the day whose report is due: yesterday, from the hour on that the clock of `zone` shows, until midnight.

    Args:
        now: an aware moment.
        zone: whose calendar and clock count.
        hour: 0 to 23; where the clock skips it, the next one that it shows.
    """
    if now.astimezone(zone).hour < hour:
        return None
    return ReportDay.at(now, zone).before


def _first_instant(day: date, zone: tzinfo) -> datetime:
    # Of a midnight that is skipped, the offset before the change is taken, which gives the instant of the change;
    # of one that comes twice, the first.
    return datetime.combine(day, time.min, zone).astimezone(UTC)
