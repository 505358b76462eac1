"""What a run would cost on AWS."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench import prices
from tests.bench.consumed import DELIVERY, Consumption, LambdaUse
from tests.bench.prices import MILLION, Price

FED_BY_QUEUES = frozenset({"plan-segment", "sender"})
EVENT_SOURCES = 3  # plan queue, send queue, express queue
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: with a maximum concurrency, five pollers
# go on for ever; https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
# sqs-short-and-long-polling.html: a long poll is 20 s.
POLLERS, POLL_SECONDS = 5, 20
MONTH_SECONDS = 30 * 24 * 3600
DISPATCHES_A_MONTH = MONTH_SECONDS // 60

_BILLED_CALLS: Mapping[tuple[str, str], Price] = {
    ("SQS", "sqs."): prices.SQS_REQUESTS,
    ("Secrets Manager", "secretsmanager."): prices.SECRET_CALLS,
    ("EventBridge Scheduler", "scheduler.CreateSchedule"): prices.SCHEDULES,  # each fires once
}
"""What is billed by the call: service, and how the names of the calls begin."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """A part of the bill: so many of something, and what they cost in USD."""

    service: str
    what: str
    quantity: float
    usd: float


def cost_lines(consumption: Consumption) -> list[CostLine]:
    """List what a consumption costs, the dearest first: where the next saving is."""
    return sorted(_lines(consumption), key=lambda line: line.usd, reverse=True)


def delivery_lines(consumption: Consumption) -> list[CostLine]:
    """List what the functions that messages pass cost; not the API, which a benchmark keeps asking."""
    return cost_lines(consumption.only(*DELIVERY))


def usd_per_million(lines: Sequence[CostLine], messages: int) -> float:
    """Return what a million messages cost."""
    return sum(line.usd for line in lines) / messages * MILLION


def by_service(lines: Sequence[CostLine]) -> dict[str, float]:
    """Add up USD by service, the dearest first."""
    sums: dict[str, float] = {}
    for line in lines:
        sums[line.service] = sums.get(line.service, 0) + line.usd
    return dict(sorted(sums.items(), key=lambda entry: entry[1], reverse=True))


def standing_lines(consumption: Consumption) -> list[CostLine]:
    """List what a month costs in which nothing is sent: idle polls, and the dispatcher at what its runs took here."""
    polls = EVENT_SOURCES * POLLERS * MONTH_SECONDS / POLL_SECONDS
    lines = [CostLine("SQS", "polls of idle queues", polls, prices.SQS_REQUESTS.of(polls))]
    dispatcher = consumption.only("dispatcher")
    if dispatcher.lambdas and (runs := dispatcher.lambdas["dispatcher"].invocations):
        usd = sum(line.usd for line in cost_lines(dispatcher)) / runs * DISPATCHES_A_MONTH
        lines.append(CostLine("dispatcher", "a run a minute, all services", DISPATCHES_A_MONTH, usd))
    return lines


def _lines(consumption: Consumption) -> Iterator[CostLine]:
    for (table, function), units in consumption.write_units.items():
        yield _line("DynamoDB", f"write units, {table}, {function}", units, prices.WRITE_UNITS)
    for (table, function), units in consumption.read_units.items():
        yield _line("DynamoDB", f"read units, {table}, {function}", units, prices.READ_UNITS)
    for function, size in consumption.logged_bytes.items():
        yield _line("CloudWatch Logs", f"bytes, {function}", size, prices.LOGGED_BYTES)
    for function, use in consumption.lambdas.items():
        yield from _function_lines(function, use)
    for (function, operation), number in consumption.calls.items():
        for (service, beginning), price in _BILLED_CALLS.items():
            if operation.startswith(beginning):
                yield _line(service, f"{operation}, {function}", number, price)


def _function_lines(function: str, use: LambdaUse) -> Iterator[CostLine]:
    gb_seconds = use.billed_ms / 1000 * use.memory_mb / 1024
    yield _line("Lambda", f"GB-seconds, {function}", gb_seconds, prices.LAMBDA_GB_SECONDS)
    yield _line("Lambda", f"requests, {function}", use.invocations, prices.LAMBDA_REQUESTS)
    if function in FED_BY_QUEUES:
        # Lambda receives and deletes a batch for each invocation; no call of the function shows it.
        yield _line("SQS", f"receives and deletes, {function}", 2 * use.invocations, prices.SQS_REQUESTS)
    if function == "api":
        yield _line("API Gateway", "requests", use.invocations, prices.API_REQUESTS)


def _line(service: str, what: str, quantity: float, price: Price) -> CostLine:
    return CostLine(service, what, quantity, price.of(quantity))
