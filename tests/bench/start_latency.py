"""How soon a mailing starts: from its POST to `sent`, and from its `start_at` to the first request."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.bench.bench_stack import everyone_asked
from tests.bench.figures import Distribution
from tests.e2e.steps import create_mailing, finished, load_clients, rows
from tests.running_stack import RunningStack, poll

TAG = "single"
AT_ONCE = 50
SCHEDULED = 10  # the planner runs as often at once
FIRST_AFTER = timedelta(seconds=5)
LAST_AFTER = timedelta(seconds=15)
DEADLINE_SECONDS = 120  # the dispatcher's minute, should the schedule be lost, and then some


@dataclass(frozen=True, slots=True)
class StartLatency:
    """How soon mailings of one client start, seconds.

    Attributes:
        at_once: from the POST of a mailing that starts now to its message's `sent_at`, one after the other, warm.
        scheduled: from `start_at` to the request, for several that wait at once.
    """

    at_once: Distribution
    scheduled: Distribution


def start_latency(stack: RunningStack) -> StartLatency:
    """Measure a stack without other mailings."""
    load_clients(stack, 1, TAG)
    _warm_up(stack)
    at_once = [_until_sent(stack) for _ in range(AT_ONCE)]
    return StartLatency(Distribution.of(at_once), Distribution.of(_until_requested(stack)))


def _warm_up(stack: RunningStack) -> None:
    with ThreadPoolExecutor(SCHEDULED) as pool:
        for mailing_id in list(pool.map(lambda _: create_mailing(stack, TAG), range(SCHEDULED))):
            finished(stack, mailing_id)


def _until_sent(stack: RunningStack) -> float:
    stack.forget_received()
    posted_at = datetime.now(UTC)
    mailing_id = create_mailing(stack, TAG)
    everyone_asked(stack, 1, deadline_seconds=DEADLINE_SECONDS)
    [row] = poll(
        lambda: rows(stack, mailing_id),
        until=lambda found: bool(found) and found[0]["status"] == "sent",
        deadline_seconds=DEADLINE_SECONDS,
    )
    return _seconds(posted_at, row["sent_at"])


def _until_requested(stack: RunningStack) -> list[float]:
    stack.forget_received()
    now = datetime.now(UTC)
    apart = (LAST_AFTER - FIRST_AFTER) / (SCHEDULED - 1)
    starts = [now + FIRST_AFTER + apart * number for number in range(SCHEDULED)]
    waiting = {create_mailing(stack, TAG, start_at=start_at): start_at for start_at in starts}
    everyone_asked(stack, SCHEDULED, deadline_seconds=DEADLINE_SECONDS)
    requested_at = {one["id"]: one["started_at"] for one in stack.received()["last"]}
    return [
        _seconds(start_at, requested_at[rows(stack, mailing_id)[0]["id"]]) for mailing_id, start_at in waiting.items()
    ]


def _seconds(begin: datetime, end: str) -> float:
    return (datetime.fromisoformat(end) - begin).total_seconds()
