"""How long after its return a provider that was down is asked at the full rate again."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.bench_stack import everyone_asked, mail_everyone
from tests.bench.figures import full_rate_after, steady_rate
from tests.e2e.steps import finished
from tests.running_stack import RunningStack, poll

CLIENTS = 12_000  # enough for a rate before, and for one after
SENT_BEFORE = 1 / 3
OUTAGE_SECONDS = 10.0
FULL = 0.9
LEAST = datetime.min.replace(tzinfo=UTC)
LEDGER = 100_000  # requests that the simulator remembers


@dataclass(frozen=True, slots=True)
class Recovery:
    """One outage within a mailing; times in seconds.

    Attributes:
        rate_before: messages a second, the median before the outage.
        outage: how long every request was answered 503.
        next_probe: from the provider's return to the next probe, as the breaker showed it at that moment.
        full_rate: from the provider's return to the first second at 90 % of the rate before; None if none was.
        drained: from the provider's return to the last message accepted.
        duplicates: messages accepted twice.
    """

    rate_before: float
    outage: float
    next_probe: float
    full_rate: float | None
    drained: float
    duplicates: int

    @property
    def beyond_probe(self) -> float | None:
        """Say how long it took beyond the wait for the probe."""
        return None if self.full_rate is None else self.full_rate - self.next_probe


def recover(stack: RunningStack, latency_ms: float) -> Recovery:
    """Send a mailing to a crowd of `CLIENTS`, on warm functions; have its provider down on the way."""
    stack.forget_received()
    mailing_id = mail_everyone(stack)
    everyone_asked(stack, int(CLIENTS * SENT_BEFORE), deadline_seconds=300)
    down_at = datetime.now(UTC)
    stack.control(latency_ms=latency_ms, status=503)
    poll(lambda: _breaker(stack), until=lambda seen: seen["state"] != "closed", deadline_seconds=30)
    time.sleep(max(OUTAGE_SECONDS - _seconds(down_at, datetime.now(UTC)), 0))  # the outage itself
    probe_at = poll(lambda: _probe_at(stack), until=_is_clearly_ahead, deadline_seconds=30)
    well_at = datetime.now(UTC)
    stack.control(latency_ms=latency_ms)
    everyone_asked(stack, CLIENTS, deadline_seconds=300)
    finished(stack, mailing_id)
    received = stack.received(limit=LEDGER)
    accepted = [datetime.fromisoformat(one["at"]).timestamp() for one in received["last"] if one["accepted"]]
    rate_before = steady_rate(accepted, down_at.timestamp())
    return Recovery(
        rate_before=rate_before,
        outage=_seconds(down_at, well_at),
        next_probe=_seconds(well_at, probe_at),
        full_rate=full_rate_after(accepted, well_at.timestamp(), FULL * rate_before),
        drained=accepted[-1] - well_at.timestamp(),
        duplicates=received["accepted_duplicates"],
    )


def _breaker(stack: RunningStack) -> dict[str, Any]:
    provider: dict[str, Any] = stack.request("GET", "/health").json()["provider"]
    return provider


def _probe_at(stack: RunningStack) -> datetime:
    """Read when the breaker lets the next probe through; the least moment while one is on its way."""
    breaker = _breaker(stack)
    return datetime.fromisoformat(breaker["next_probe_at"]) if breaker["state"] == "open" else LEAST


def _is_clearly_ahead(moment: datetime) -> bool:
    """Tell whether the provider can be back before that moment, so that it is this probe that meets it well."""
    return moment > datetime.now(UTC) + timedelta(seconds=0.5)


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
