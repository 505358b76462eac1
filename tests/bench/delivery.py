"""How fast a mailing is delivered, beside what the machine could do at best, and whether its books are right."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.bench.bare_loop import bare_rate
from tests.bench.bench_stack import everyone_asked, mail_everyone
from tests.bench.figures import rate_between
from tests.bench.processors import processor_clocks, used_between
from tests.e2e.steps import STATUSES, finished, rows
from tests.running_stack import RunningStack

SLOWEST_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class Delivery:
    """One mailing to everyone; rates in messages a second.

    Attributes:
        clients: how many it went to.
        sent: rows that are `sent`.
        request_rate: from the first to the last request to the provider.
        whole_rate: from the POST of the mailing to the last outcome recorded (`finished_at`).
        bare_rate: that of the bare loop right before.
        duplicates: messages accepted twice.
        drift: by how much counters and rows differ, over all statuses.
        processor_ms: milliseconds of a processor that a message took of each program, from POST to finish.
    """

    clients: int
    sent: int
    request_rate: float
    whole_rate: float
    bare_rate: float
    duplicates: int
    drift: int
    processor_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def whole_ratio(self) -> float:
        """Compare POST to last outcome with the bare loop."""
        return self.whole_rate / self.bare_rate

    @property
    def request_ratio(self) -> float:
        """Compare first to last request with the bare loop."""
        return self.request_rate / self.bare_rate

    @property
    def is_right(self) -> bool:
        """Tell whether everybody got it once, and the counters say so."""
        return self.sent == self.clients and not self.duplicates and not self.drift


def deliver(stack: RunningStack, clients: int) -> Delivery:
    """Run the bare loop, then send a mailing to everyone: so many clients, on warm functions."""
    bare = bare_rate(stack, clients)
    clocks = processor_clocks(stack)
    posted_at = datetime.now(UTC)
    mailing_id = mail_everyone(stack)
    everyone_asked(stack, clients, deadline_seconds=60 + clients / SLOWEST_PER_SECOND)
    statistics = finished(stack, mailing_id)
    used = used_between(clocks, processor_clocks(stack))
    received = stack.received(limit=0)
    lasted = datetime.fromisoformat(statistics["mailing"]["finished_at"]) - posted_at
    recount = Counter(row["status"] for row in rows(stack, mailing_id))
    return Delivery(
        clients=clients,
        sent=recount["sent"],
        request_rate=rate_between(clients, received["first_at"], received["last_at"]),
        whole_rate=clients / lasted.total_seconds(),
        bare_rate=bare,
        duplicates=received["accepted_duplicates"],
        drift=sum(abs(statistics["messages"][status] - recount[status]) for status in STATUSES),
        processor_ms={program: seconds * 1000 / clients for program, seconds in used.items()},
    )
