"""Times such that mailings come about, and start."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from chalicelib.domain.mailing import MAX_DURATION

_OUT_OF_ORDER = 4  # one in so many is left as it was drawn


def moments() -> st.SearchStrategy[str]:
    """Draw times around now; now and then of any year."""
    now = datetime.now(UTC).replace(microsecond=0)
    near = st.integers(-3600, 35 * 86_400).map(lambda seconds: now + timedelta(seconds=seconds))
    far = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - see timezones
    return st.one_of(near, near, near, far).map(datetime.isoformat)


def ordered(start_at: str, end_at: str) -> str:
    """Move an end behind a start, within the time that a mailing may last; what is no time stays what it is."""
    try:
        start, end = datetime.fromisoformat(start_at), datetime.fromisoformat(end_at)
        lasts = end - start
    except (ValueError, TypeError):
        return end_at
    if timedelta(0) < lasts <= MAX_DURATION or end.toordinal() % _OUT_OF_ORDER == 0:
        return end_at
    try:
        return (start + abs(lasts) % MAX_DURATION + timedelta(hours=1)).isoformat()
    except OverflowError:
        return end_at
