"""When a schedule's next time is, by its expression as EventBridge has it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_LAST = {"minute": 59, "hour": 23, "day of the month": 31, "month": 12, "day of the week": 7}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in UTC: each `period`, or, without one, by `cron`, five fields as cron itself has them."""

    period: timedelta | None
    cron: str

    @classmethod
    def of(cls, expression: str) -> "Schedule":
        """Read `rate(5 minutes)` or `cron(0 3 * * ? *)`: minute, hour, day, month, day of the week, year.

        Raises:
            ValueError: it is neither, or something in it has no like in cron: years, `L`, `W`, `#`.
        """
        if rate := _RATE.fullmatch(expression):
            return cls(timedelta(**{f"{rate[2]}s": int(rate[1])}), "")
        found = _CRON.fullmatch(expression)
        if not found:
            raise ValueError(f"{expression!r} is no schedule of EventBridge")
        *fields, year = found.groups()
        if year != "*":
            raise ValueError(f"{expression!r} names years, which cron does not know")
        if (fields[2] == "?") == (fields[4] == "?"):
            raise ValueError(f"{expression!r} must have a ? for the day of the month or for that of the week")
        cron = " ".join(_translated(field, unit) for field, unit in zip(fields, _LAST, strict=True))
        try:
            CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001 - whether it parses is the same in each zone
        except CronSimError as error:
            raise ValueError(f"{expression!r}: {error}") from error
        return cls(None, cron)

    def next_after(self, moment: datetime) -> datetime:
        """Tell the first time after a moment of UTC."""
        return moment + self.period if self.period else next(CronSim(self.cron, moment))


def _translated(field: str, unit: str) -> str:
    return ",".join(_part(part, unit) for part in field.upper().split(","))


def _part(part: str, unit: str) -> str:
    if part == "?":
        return "*"
    if re.search(r"\d*[LW]$|#", part):
        raise ValueError(f"{part!r} for the {unit} is not supported here")
    span, slash, step = part.partition("/")
    if slash and "-" not in span and span != "*":
        span = f"{span}-{_LAST[unit]}"  # EventBridge counts on from where it begins
    if unit == "day of the week":
        span = re.sub(r"\d+", _day, span)
    return f"{span}{slash}{step}"


def _day(number: re.Match[str]) -> str:
    """Count days of the week as cron does: Sunday, the first, is 0 there."""
    if not 1 <= int(number[0]) <= _LAST["day of the week"]:
        raise ValueError(f"{number[0]!r} is no day-of-week")
    return str(int(number[0]) - 1)
