"""Times as people type them: by the clock on their wall, as `<input type="datetime-local">` has them."""

import re
from datetime import UTC, datetime

from chalicelib.domain.timezone import resolve_timezone

_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


def read_local(text: str, zone: str) -> datetime:
    """Read a local time, in UTC.

    Args:
        text: `2026-11-23T09:00`, maybe with seconds.
        zone: an IANA name or ±HH:MM.

    Raises:
        ValueError: it is no time, or one that the clocks there never show, or show twice.
    """
    if not _LOCAL.fullmatch(text):
        raise ValueError("must be a date and a time")
    try:
        wall = datetime.fromisoformat(text)
        first, second = (wall.replace(tzinfo=resolve_timezone(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a time that exists") from error
    if first == second:
        return first
    if first.astimezone(resolve_timezone(zone)).replace(tzinfo=None) != wall:
        raise ValueError(f"does not exist in {zone}: the clocks go forward over it")
    raise ValueError(f"is there twice in {zone}: the clocks go back over it; choose a time before or after")


def write_local(moment: datetime, zone: str) -> str:
    """Write a moment as a local time, to the minute."""
    return f"{moment.astimezone(resolve_timezone(zone)):%Y-%m-%dT%H:%M}"
