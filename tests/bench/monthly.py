"""`make cost`: what a month costs on AWS, by service: idle, and with a million and ten million messages.

What stands there is counted in the packaged template; what a message takes is what `make bench ONLY=cost` measured at
10,000 clients on 2026-11-24 (docs/PERFORMANCE.md). Beside it stand the provider's bill, traffic to it (requests of
half a kilobyte at 0.09 USD a GB), the API's callers and the importer.
"""

import json
import sys
from collections.abc import Iterator, Sequence

from bundle import make_bundle
from tests.bench import prices
from tests.bench.cost import MONTH_SECONDS, POLL_SECONDS, POLLERS
from tests.bench.prices import GB, MILLION
from tests.merged_template import Part, of_type, queue_sources

MONTHS = (0, 1_000_000, 10_000_000)
# Measured: USD a million messages.
WRITES_AND_READS, LAMBDA, LOGS, TICKETS = 5.34, 0.09, 0.21, 0.01
# Measured, and the figures for those who watch reckoned on top: USD a month of a run a minute, all services.
DISPATCHER = 3.3
# Told each minute, and only while there is something to tell (docs/OPERATIONS.md).
METRICS_ALWAYS, METRICS_BUSY = 12, 20
# Reckoned: a message of some 350 bytes, three entries of indexes of some 80, and 100 bytes that DynamoDB adds to each.
# Rows stay 30 days after their mailing's end: a month's are there for a month.
BYTES_A_MESSAGE = 350 + 3 * 80 + 4 * 100

Line = tuple[str, str, tuple[float, ...]]
"""A service, what of it, and USD for each of the months."""


def lines(template: Part, months: Sequence[int] = MONTHS) -> Iterator[Line]:
    """Yield what months with so many messages cost, in the order of services."""
    millions = [messages / MILLION for messages in months]
    kept_gb = [messages * BYTES_A_MESSAGE / GB for messages in months]
    logged_gb = [LOGS / prices.LOGGED_BYTES.of(GB) * each for each in millions]
    secrets = len(of_type(template, "AWS::SecretsManager::Secret"))
    alarms = len(of_type(template, "AWS::CloudWatch::Alarm"))
    polls = prices.SQS_REQUESTS.of(len(list(queue_sources(template))) * POLLERS * MONTH_SECONDS / POLL_SECONDS)

    def standing(usd: float) -> tuple[float, ...]:
        return tuple(usd for _ in months)

    yield "DynamoDB", "reads and writes", tuple(WRITES_AND_READS * each for each in millions)
    yield "DynamoDB", "storage", tuple(map(prices.STORED_GB.of, kept_gb))
    yield "DynamoDB", "point-in-time recovery", tuple(map(prices.RECOVERABLE_GB.of, kept_gb))
    yield "Lambda", "planning and sending", tuple(LAMBDA * each for each in millions)
    yield "all", "the dispatcher's minutes", standing(DISPATCHER)
    yield "SQS", "tickets", tuple(TICKETS * each for each in millions)
    yield "SQS", "polls of queues, idle or not", standing(polls)
    yield "CloudWatch", "logs written", tuple(LOGS * each for each in millions)
    yield "CloudWatch", "logs kept for a month", tuple(map(prices.LOGS_KEPT_GB.of, logged_gb))
    yield (
        "CloudWatch",
        f"metrics: {METRICS_ALWAYS}, busy {METRICS_BUSY} more",
        tuple(prices.METRICS.of(METRICS_ALWAYS + METRICS_BUSY * bool(messages)) for messages in months),
    )
    yield "CloudWatch", f"{alarms} alarms", standing(prices.ALARMS.of(alarms))
    yield "Secrets Manager", f"{secrets} secrets at most", standing(prices.SECRETS.of(secrets))


def table(template: Part, months: Sequence[int] = MONTHS) -> Iterator[str]:
    """Yield the lines as Markdown, with their sums."""
    costs = list(lines(template, months))
    headers = ["idle" if messages == 0 else f"{messages:,} messages" for messages in months]
    yield f"| service | USD a month | {' | '.join(headers)} |"
    yield f"|---|---|{'---|' * len(months)}"
    for service, what, usd in costs:
        yield f"| {service} | {what} | {' | '.join(f'{each:.2f}' for each in usd)} |"
    sums = [sum(usd[month] for _, _, usd in costs) for month in range(len(months))]
    yield f"| **all** | | {' | '.join(f'**{each:.2f}**' for each in sums)} |"


def main() -> int:
    """Print the table."""
    sys.stdout.writelines(f"{line}\n" for line in table(json.loads(make_bundle().template.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
