"""How fast a mailing is sent, and when it will be done if it goes on like that."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_LATEST = timedelta(minutes=4)  # whole minutes, beside the one that is under way


def sent_per_second(per_minute: Sequence[tuple[datetime, int]], first_sent_at: datetime | None, now: datetime) -> float:
    """Say how many messages a second were sent of late.

    Args:
        per_minute: minutes, and how many were sent in each.
        first_sent_at: None if nothing was sent.
        now: of the same clock, roughly.
    """
    if first_sent_at is None:
        return 0.0
    since = max(now.replace(second=0, microsecond=0) - _LATEST, first_sent_at)
    sent = sum(count for minute, count in per_minute if minute + timedelta(minutes=1) > since)
    return sent / max((now - since).total_seconds(), 1.0)


def estimated_end(unsent: int, per_second: float, now: datetime) -> datetime | None:
    """Say when the last message will be sent; None if nothing is left, or nothing moves."""
    if not unsent or not per_second:
        return None
    seconds = unsent / per_second
    return now + timedelta(seconds=seconds) if seconds < timedelta(days=365).total_seconds() else None
