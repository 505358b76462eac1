"""What a mailing consumes, and what it would cost: runs of their own, because recording takes time."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.bench_stack import everyone_asked, mail_everyone
from tests.bench.consumption import Consumption, measured, report_tables
from tests.bench.cost import by_service, delivery_lines, usd_per_million
from tests.bench.delivery import SLOWEST_PER_SECOND
from tests.bench.prices import MILLION
from tests.e2e.steps import drained, finished
from tests.running_stack import RunningStack

# Planner to outcome; DESIGN.md has them for 10,000 clients.
CALLS_BUDGET, WRITE_UNITS_BUDGET, USD_BUDGET = 0.15, 10, 7

# What works beside messages, each as its schedule or an operator asks for it.
BESIDE = {"dispatcher": {}, "drift-check": {"source": "aws.events"}, "daily-report": {"day": "today"}}


@dataclass(frozen=True, slots=True)
class Spending:
    """One mailing to so many clients."""

    clients: int
    consumption: Consumption

    def summary(self) -> list[list[str]]:
        """Return rows of a table: what, a message's (a million messages') share, the budget."""
        calls = self.consumption.calls_per_message(self.clients)
        units = self.consumption.write_units_per_message(self.clients)
        usd = usd_per_million(delivery_lines(self.consumption), self.clients)
        return [
            ["", "measured", "budget at 10,000"],
            ["calls of AWS a message", f"{calls:.3f}", f"{CALLS_BUDGET}"],
            ["write units a message", f"{units:.2f}", f"{WRITE_UNITS_BUDGET}"],
            ["USD for a million messages", f"{usd:.2f}", f"{USD_BUDGET}"],
        ]

    def tables(self) -> list[str]:
        """Return where it all went, as tables."""
        return report_tables(self.consumption, self.clients)

    def to_json(self) -> dict[str, Any]:
        """Return all that was counted, and USD a million by service."""
        services = by_service(delivery_lines(self.consumption))
        return {
            "clients": self.clients,
            "consumption": self.consumption.as_dict(),
            "calls_per_message": self.consumption.calls_per_message(self.clients),
            "write_units_per_message": self.consumption.write_units_per_message(self.clients),
            "usd_per_million": {name: usd / self.clients * MILLION for name, usd in services.items()},
        }


def spend(stack: RunningStack, folder: Path, clients: int) -> Spending:
    """Send a mailing to everyone on warm functions whose calls are recorded in the folder; then run what is beside."""
    stack.forget_received()
    since = datetime.now(UTC)
    mailing_id = mail_everyone(stack)
    everyone_asked(stack, clients, deadline_seconds=60 + clients / SLOWEST_PER_SECOND)
    finished(stack, mailing_id)
    drained(stack)
    for function, event in BESIDE.items():
        stack.invoke(function, json.dumps(event))
    return Spending(clients, measured(stack, folder, since))
