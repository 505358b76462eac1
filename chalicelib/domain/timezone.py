"""A client's time zone, by name; there is no default zone, so a name that says nothing sends nothing."""

import re
from datetime import timedelta, timezone, tzinfo
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from chalicelib.errors import ServiceError

# The clocks that people live by: Baker Island to Kiritimati.
_LOWEST_OFFSET: Final = timedelta(hours=-12)
_HIGHEST_OFFSET: Final = timedelta(hours=14)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-5][0-9])")

# Listed by IANA as what a machine shows before anybody has set its zone.
_PLACEHOLDER: Final = "Factory"


class UnknownTimezoneError(ServiceError):
    """The text names no time zone."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is neither an IANA time zone nor an offset from -12:00 to +14:00")


@lru_cache(maxsize=1024)
def resolve_timezone(name: str) -> tzinfo:
    """Return the time zone that `name` stands for.

    Args:
        name: an IANA name in its own spelling (`Europe/Moscow`), or an offset from UTC, `±HH:MM`,
            from -12:00 to +14:00.

    Raises:
        UnknownTimezoneError: it is neither.
    """
    if offset := _OFFSET.fullmatch(name):
        return _fixed_offset(name, *offset.groups())
    if name not in _iana_names():
        raise UnknownTimezoneError(name)
    return ZoneInfo(name)


def _fixed_offset(name: str, sign: str, hours: str, minutes: str) -> timezone:
    size = timedelta(hours=int(hours), minutes=int(minutes))
    offset = -size if sign == "-" else size
    if not _LOWEST_OFFSET <= offset <= _HIGHEST_OFFSET:
        raise UnknownTimezoneError(name)
    return timezone(offset)


@cache
def _iana_names() -> frozenset[str]:
    # ZoneInfo opens what it is given as a path below the system's zone directories, where `localtime` is a file
    # too, and where some file systems ignore case. The list in the tzdata package is the same everywhere, and
    # costs one small file, not a walk of those directories as `zoneinfo.available_timezones()` does.
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listed.split()) - {_PLACEHOLDER}
