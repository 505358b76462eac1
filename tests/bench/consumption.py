"""What a run of a stack has consumed, and what that would cost: the way in.

Start the stack with `StackOptions(emulator=recording(folder))`, run something, wait until its queues are empty (an
invocation is logged when it ends), then `measured(stack, folder, since)`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from tests.bench.consumed import DELIVERY, Consumption, LambdaUse
from tests.bench.cost import by_service, cost_lines, delivery_lines, standing_lines, usd_per_million
from tests.bench.lambdas import lambda_logs
from tests.bench.prices import MILLION
from tests.bench.recorded_calls import recorded_calls, recording
from tests.bench.units import UnitMeter
from tests.running_stack import RunningStack

__all__ = ["Consumption", "measured", "recording", "report_tables"]

LARGEST = 8
KIB_PER_MB = 1024


def measured(stack: RunningStack, folder: Path, since: datetime) -> Consumption:
    """Read what the functions consumed since a moment (aware); what had begun before and ended after it counts."""
    meter = UnitMeter()
    consumption, prefix = Consumption(), f"{stack.info.stack_name}-"
    peaks: dict[str, int] = {}
    cpu_before: dict[str, float] = {}  # by process
    cpu_ms: Counter[str] = Counter()
    for call in recorded_calls(folder):
        units = meter.measure(call)  # of earlier calls too: they tell what the items were
        used, cpu_before[call.process] = call.cpu_s - cpu_before.get(call.process, 0.0), call.cpu_s
        if call.at < since:
            continue
        function = call.function.removeprefix(prefix)
        operation = f"{call.service}.{call.operation}"
        consumption.calls[function, operation] += 1
        consumption.request_bytes[function, operation] += call.request_bytes
        _add(consumption.read_units, function, units.reads.items())
        _add(consumption.write_units, function, units.writes.items())
        consumption.assumed_writes[function] += units.assumed
        cpu_ms[function] += round(used * 1000)
        peaks[function] = max(peaks.get(function, 0), call.peak_kib // KIB_PER_MB)
    for function, log in lambda_logs(stack.client("logs"), stack.info.stack_name, since).items():
        peak = peaks.get(function, 0)
        consumption.lambdas[function] = LambdaUse(log.invocations, log.billed_ms, cpu_ms[function], log.memory_mb, peak)
        consumption.logged_bytes[function] = log.logged_bytes
    return consumption


def report_tables(consumption: Consumption, messages: int) -> list[str]:
    """Return plain tables: calls and units a message, functions, and what a million messages cost."""
    return [
        _calls(consumption, messages),
        _units(consumption, messages),
        _lambdas(consumption, messages),
        _services(consumption, messages),
        _largest(consumption, messages),
        _standing(consumption),
    ]


def _calls(consumption: Consumption, messages: int) -> str:
    delivery = consumption.only(*DELIVERY)
    rows = [
        (
            function,
            operation,
            str(number),
            f"{number / messages:.4f}",
            f"{delivery.request_bytes[function, operation] / number:.0f}",
        )
        for (function, operation), number in delivery.calls.most_common()
    ]
    total = ("all", "", str(delivery.calls.total()), f"{consumption.calls_per_message(messages):.4f}", "")
    return _table(
        "calls of AWS, planner to outcome", ("function", "call", "number", "a message", "bytes each"), [*rows, total]
    )


def _units(consumption: Consumption, messages: int) -> str:
    delivery = consumption.only(*DELIVERY)
    keys = sorted({*delivery.write_units, *delivery.read_units})
    rows = [
        (
            table,
            function,
            f"{delivery.write_units.get((table, function), 0) / messages:.3f}",
            f"{delivery.read_units.get((table, function), 0) / messages:.3f}",
        )
        for table, function in keys
    ]
    writes = consumption.write_units_per_message(messages)
    reads = sum(delivery.read_units.values()) / messages
    title = (
        f"request units of DynamoDB a message, planner to outcome ({delivery.assumed_writes.total()} writes assumed)"
    )
    return _table(title, ("table", "function", "write", "read"), [*rows, ("all", "", f"{writes:.3f}", f"{reads:.3f}")])


def _lambdas(consumption: Consumption, messages: int) -> str:
    rows = [
        (
            function,
            str(use.invocations),
            f"{messages / use.invocations:.1f}",
            f"{use.billed_ms / use.invocations:.0f}",
            f"{use.billed_ms / messages:.2f}",
            f"{use.cpu_ms / messages:.2f}",
            str(use.memory_mb),
            str(use.peak_memory_mb),
            f"{consumption.logged_bytes[function] / messages:.0f}",
        )
        for function, use in consumption.lambdas.items()
    ]
    heads = (
        "function",
        "runs",
        "messages each",
        "ms each",
        "ms a message",
        "of processor",
        "MB",
        "peak MB",
        "log bytes a message",
    )
    return _table("functions", heads, rows)


def _services(consumption: Consumption, messages: int) -> str:
    lines = delivery_lines(consumption)
    rows = [(service, f"{usd / messages * MILLION:.3f}") for service, usd in by_service(lines).items()]
    total = ("all", f"{usd_per_million(lines, messages):.3f}")
    api = usd_per_million(cost_lines(consumption.only("api")), messages)
    return _table(
        "USD for a million messages, planner to outcome",
        ("service", "USD"),
        [*rows, total, ("beside it: the API in this run", f"{api:.3f}")],
    )


def _largest(consumption: Consumption, messages: int) -> str:
    rows = [
        (line.service, line.what, f"{line.quantity / messages:.4g}", f"{line.usd / messages * MILLION:.3f}")
        for line in delivery_lines(consumption)[:LARGEST]
    ]
    return _table("the largest parts of it", ("service", "what", "a message", "USD a million"), rows)


def _standing(consumption: Consumption) -> str:
    rows = [
        (line.service, line.what, f"{line.quantity:.0f}", f"{line.usd:.2f}") for line in standing_lines(consumption)
    ]
    return _table("beside it, a month of waiting: polls and the dispatcher", ("service", "what", "number", "USD"), rows)


def _add(sums: dict[tuple[str, str], float], function: str, units: Iterable[tuple[str, float]]) -> None:
    for table, number in units:
        sums[table, function] = sums.get((table, function), 0) + number


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [heads, *rows]
    ]
    return "\n".join([title, "", *lines])
