"""How fast a mailing goes, and when it will be through, judged by its latest minutes."""

from collections.abc import Iterable
from datetime import datetime, timedelta

MINUTES = 3  # that a rate is taken over: the one that is under way, and those before
_MINUTE = timedelta(minutes=1)
_LEAST = timedelta(seconds=1)


def rate(sent: Iterable[tuple[datetime, int]], began_at: datetime, now: datetime) -> float:
    """Say how many messages were sent a second of late.

    Args:
        sent: minutes (UTC), each with the number of messages sent in it.
        began_at: when the mailing started: there was nothing before that could have been slow.
        now: the end of the time that is judged.
    """
    first = now.replace(second=0, microsecond=0) - (MINUTES - 1) * _MINUTE
    number = sum(count for minute, count in sent if minute >= first)
    return number / max(now - max(first, began_at), _LEAST).total_seconds()


def through_at(still_open: int, per_second: float, now: datetime, end_at: datetime) -> datetime | None:
    """Say when all open messages are sent at this rate; None: not before the mailing ends, or nobody knows."""
    if not per_second:
        return None
    seconds = still_open / per_second
    return now + timedelta(seconds=seconds) if seconds <= (end_at - now).total_seconds() else None
