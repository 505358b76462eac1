"""`make faults`, its second half: what a provider that hangs costs the API, and what an outage costs in all.

Prints two tables. Ends with 1 if a message was lost or repeated, or more requests than wished met an open breaker.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.e2e.steps import control, create_mailing, finished, load_clients
from tests.running_stack import RunningStack, poll

REQUESTS = 1_000
OUTAGE_CLIENTS = 600
OUTAGES_SECONDS = (60.0, 200.0)
MAX_REQUESTS_WHILE_OPEN = 30
TAG = "outage"


@dataclass(frozen=True, slots=True)
class Outage:
    """What one outage came to; times in seconds."""

    seconds: float
    requests_before: int
    requests_while_open: int
    requests_after: int
    opened_after: float
    drained_after: float
    sent: int
    repeated: int
    attempts: int

    @property
    def kept(self) -> bool:
        """Tell whether it is as promised."""
        return self.requests_while_open <= MAX_REQUESTS_WHILE_OPEN and self.sent == OUTAGE_CLIENTS and not self.repeated


def api_latencies(stack: RunningStack, path: str) -> list[float]:
    """Time requests one after the other, milliseconds each."""
    timings = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = stack.request("GET", path)
        timings.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise AssertionError(f"GET {path}: {answer.status_code} {answer.text}")
    return timings


def compare_latencies(stack: RunningStack) -> None:
    """Print p50 and p95 of the API beside an idle provider, and beside one that hangs on all calls."""
    api_latencies(stack, "/health")  # warms the function up
    idle_id = create_mailing(stack, "nobody")
    finished(stack, idle_id)
    idle = api_latencies(stack, f"/mailings/{idle_id}")
    stack.control(hang_s=60)
    hanging_id = create_mailing(stack, TAG)
    poll(lambda: stack.received(limit=0)["requests"], until=lambda number: number > 0, deadline_seconds=60)
    hanging = api_latencies(stack, f"/mailings/{hanging_id}")
    asked = stack.received(limit=0)["requests"]
    control(stack, hanging_id, "cancel")
    stack.control()
    _say(f"\nGET /mailings/{{id}}, {REQUESTS} requests each, one run\n")
    _say(f"{'provider':<36} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}")
    for name, timings in (("idle", idle), (f"hangs on all calls ({asked} so far)", hanging)):
        cuts = statistics.quantiles(timings, n=100)
        _say(f"{name:<36} {cuts[49]:8.1f} {cuts[94]:8.1f} {cuts[98]:8.1f}")


def outage(stack: RunningStack, seconds: float) -> Outage:
    """Have the provider answer 503 to everything for so long, from the first request on, and then be well."""
    _closed(stack)
    stack.forget_received()
    stack.control(status=503)
    began = time.monotonic()
    mailing_id = create_mailing(stack, TAG)
    breaker = poll(lambda: _breaker(stack), until=lambda seen: seen["state"] != "closed", deadline_seconds=60)
    opened_at = datetime.fromisoformat(breaker["since"])
    created_at = datetime.fromisoformat(stack.request("GET", f"/mailings/{mailing_id}").json()["created_at"])
    time.sleep(max(seconds - (time.monotonic() - began), 0))  # the outage itself: nothing is waited for
    well_at = datetime.now(UTC)
    stack.control()
    counted = finished(stack, mailing_id, deadline_seconds=180)
    received = stack.received(limit=100_000)
    begun = [datetime.fromisoformat(request["started_at"]) for request in received["last"]]
    return Outage(
        seconds=seconds,
        requests_before=sum(at <= opened_at for at in begun),
        requests_while_open=sum(opened_at < at < well_at for at in begun),
        requests_after=sum(at >= well_at for at in begun),
        opened_after=(opened_at - created_at).total_seconds(),
        drained_after=(datetime.fromisoformat(counted["last_sent_at"]) - well_at).total_seconds(),
        sent=counted["messages"]["sent"],
        repeated=received["accepted_duplicates"],
        attempts=counted["attempts"],
    )


def main() -> int:
    """Run the measurements."""
    with tempfile.TemporaryDirectory(prefix="vestnik-measure-") as folder:
        embedded = EmbeddedStack(StackOptions(folder=Path(folder), port=free_port()), say=_say)
        stack = RunningStack(embedded, embedded.up())
        try:
            load_clients(stack, OUTAGE_CLIENTS, TAG)
            outages = [outage(stack, seconds) for seconds in OUTAGES_SECONDS]
            compare_latencies(stack)
        finally:
            stack.close()
    _say(f"\noutage with {OUTAGE_CLIENTS} messages: 503 to every request\n")
    _say(
        f"{'seconds':>8} {'requests before open':>21} {'while open':>11} {'after':>6} {'opened after s':>15} "
        f"{'drained after return s':>23} {'sent':>5} {'repeated':>9} {'attempts':>9}"
    )
    for one in outages:
        _say(
            f"{one.seconds:8.0f} {one.requests_before:21} {one.requests_while_open:11} {one.requests_after:6} "
            f"{one.opened_after:15.1f} {one.drained_after:23.1f} {one.sent:5} {one.repeated:9} {one.attempts:9}"
        )
    return 0 if all(one.kept for one in outages) else 1


def _breaker(stack: RunningStack) -> dict[str, Any]:
    provider: dict[str, Any] = stack.request("GET", "/health").json()["provider"]
    return provider


def _closed(stack: RunningStack) -> None:
    poll(lambda: _breaker(stack), until=lambda seen: seen["state"] == "closed", deadline_seconds=60)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command talks by printing


if __name__ == "__main__":
    sys.exit(main())
