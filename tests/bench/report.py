"""What the benchmarks came to, as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from tests.bench.api_latency import ApiLatency
from tests.bench.cold_start import ColdStart, Package
from tests.bench.delivery import Delivery
from tests.bench.figures import Distribution, median_of
from tests.bench.importing import Importing
from tests.bench.machine import Machine
from tests.bench.recovery import FULL, Recovery
from tests.bench.spending import Spending
from tests.bench.start_latency import StartLatency

NEVER = "never"
ALL = "all"
# Of each the median over the runs is shown: the name in JSON, the words of the table, the form of its numbers.
DELIVERY = {
    "request_rate": ("first to last request, a second", ".0f"),
    "request_ratio": ("  of the bare loop", ".2f"),
    "whole_rate": ("POST to last outcome, a second", ".0f"),
    "whole_ratio": ("  of the bare loop", ".2f"),
    "bare_rate": ("bare loop, a second", ".0f"),
    "duplicates": ("messages accepted twice", ".0f"),
    "drift": ("counters less rows", ".0f"),
}
RECOVERY = {
    "rate_before": ("rate before, a second", ".0f"),
    "outage": ("outage", ".1f"),
    "next_probe": ("return to the probe that the breaker showed", ".1f"),
    "full_rate": (f"return to {FULL:.0%} of the rate before", ".1f"),
    "beyond_probe": ("  beyond the probe", ".1f"),
    "drained": ("return to last message", ".1f"),
    "duplicates": ("messages accepted twice", ".0f"),
}
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
SPREAD = ("n", *PERCENTILES, "max")


@dataclass
class Results:
    """All measured so far; a part that was not asked for, or did not come to its end, is empty.

    `latency_ms` is the provider's, `concurrency` that of senders, None for that of infra/template.yaml; `host`: by
    infra/host and not by Lambda functions.
    """

    machine: Machine
    latency_ms: float
    concurrency: int | None = None
    host: bool = False
    deliveries: list[Delivery] = field(default_factory=list)
    spendings: list[Spending] = field(default_factory=list)
    package: Package | None = None
    cold_starts: list[ColdStart] = field(default_factory=list)
    api: ApiLatency | None = None
    start: StartLatency | None = None
    recoveries: list[Recovery] = field(default_factory=list)
    imports: list[Importing] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def wrongs(self) -> list[str]:
        """Name each promise that a measurement saw broken, and each part that did not come to its end."""
        wrongs = [f"not everybody got it once and was counted: {one}" for one in self.deliveries if not one.is_right]
        wrongs += [f"accepted twice after an outage: {one}" for one in self.recoveries if one.duplicates]
        wrongs += [f"rows of an import were lost: {one}" for one in self.imports if not one.is_right]
        return wrongs + [f"not finished: {one}" for one in self.unfinished]

    def text(self) -> str:
        """Show everything as tables."""
        by = ", by infra/host" if self.host else ""
        return "\n".join(["", f"{self.machine}{by}", *self._tables()])

    def to_json(self) -> dict[str, Any]:
        """Return all that was measured, raw, and the medians."""
        medians = {
            "deliveries": [{"clients": n} | _medians(DELIVERY, runs) for n, runs in self._by_size()],
            "recoveries": _medians(RECOVERY, self.recoveries) if self.recoveries else None,
        }
        spendings = [one.to_json() for one in self.spendings]
        return asdict(replace(self, spendings=[])) | {"spendings": spendings, "medians": medians}

    def _by_size(self) -> list[tuple[int, list[Delivery]]]:
        size = attrgetter("clients")
        return [(clients, list(runs)) for clients, runs in groupby(sorted(self.deliveries, key=size), key=size)]

    def _tables(self) -> Iterator[str]:
        for clients, runs in self._by_size():
            yield f"\ndelivery to {clients} clients, provider {self.latency_ms:g} ms: median (each run)\n"
            yield from table(_run_rows(DELIVERY, runs))
            yield "\nprocessor milliseconds a message, by program: median (each run)\n"
            yield from table(_processor_rows(runs))
        for one in self.spendings:
            yield f"\nwhat a delivery to {one.clients} clients consumed\n"
            yield from table(one.summary())
            for part in one.tables():
                yield f"\n{part}"
        if self.cold_starts:
            yield "\ncold start, milliseconds of a processor\n"
            rows = [[one.function, f"{one.import_ms:.0f}", f"{one.build_ms:.0f}"] for one in self.cold_starts]
            yield from table([["", "import", "build"], *rows])
        if self.package:
            size = f"{self.package.files} files, {self.package.zip_mb:.1f} MB, {self.package.unpacked_mb:.1f} unpacked"
            yield f"the package, {size}: {self.package.unpack_ms:.0f} to unpack it"
        if self.api:
            yield "\nAPI, one connection, milliseconds\n"
            yield from table(_api_rows(self.api))
            yield f"busy: beside mailings, one after the other, at {self.api.busy_rate:.0f} messages a second"
            yield f"POST /clients at 8 connections, idle: {self.api.posts_per_second:.0f} a second"
        if self.start:
            yield "\nstart of mailings of one client, seconds\n"
            yield from table(_start_rows(self.start))
            yield "The emulator's scheduler is 1-13 s late by itself; that of AWS is precise to the minute."
        if self.recoveries:
            yield f"\nrecovery, 503 to every request, provider {self.latency_ms:g} ms: seconds, median (each run)\n"
            yield from table(_run_rows(RECOVERY, self.recoveries))
        if self.imports:
            yield "\nimport of clients, of a new file and of the same again\n"
            yield from table(_import_rows(self.imports))


def _import_rows(imports: Sequence[Importing]) -> list[list[str]]:
    header = ["rows", "created", "unchanged", "refused", "seconds", "rows a second", "importer's peak, MB"]
    shown = [
        [
            *(str(count) for count in (one.rows, one.created, one.unchanged, one.refused)),
            *(f"{figure:.0f}" for figure in (one.seconds, one.rows / one.seconds, one.peak_mb)),
        ]
        for one in imports
    ]
    return [header, *shown]


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line per row, all but the first column to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        shown = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *shown])


def _medians(columns: Mapping[str, tuple[str, str]], runs: Sequence[object]) -> dict[str, float | None]:
    return {name: median_of([getattr(run, name) for run in runs]) for name in columns}


def _run_rows(columns: Mapping[str, tuple[str, str]], runs: Sequence[object]) -> list[list[str]]:
    medians = _medians(columns, runs)
    return [
        [words, _shown(medians[name], form), "(" + ", ".join(_shown(getattr(run, name), form) for run in runs) + ")"]
        for name, (words, form) in columns.items()
    ]


def _processor_rows(runs: Sequence[Delivery]) -> list[list[str]]:
    used = [{**one.processor_ms, ALL: sum(one.processor_ms.values())} for one in runs]
    medians = {name: median_of([one.get(name, 0.0) for one in used]) or 0.0 for one in used for name in one}
    return [
        [name, _shown(median, ".2f"), "(" + ", ".join(_shown(one.get(name, 0.0), ".2f") for one in used) + ")"]
        for name, median in sorted(medians.items(), key=lambda pair: (pair[0] == ALL, -pair[1]))
    ]


def _api_rows(api: ApiLatency) -> list[list[str]]:
    names = [f"{when} {SPREAD[0]}" if name == SPREAD[0] else name for when in ("idle", "busy") for name in SPREAD]
    return [["", *names], *([one.route, *_cells(one.idle, ".1f"), *_cells(one.busy, ".1f")] for one in api.routes)]


def _start_rows(start: StartLatency) -> list[list[str]]:
    named = {"POST to sent, warm": start.at_once, "start_at to first request": start.scheduled}
    return [["", *SPREAD], *([name, *_cells(values, ".2f")] for name, values in named.items())]


def _cells(values: Distribution, form: str) -> list[str]:
    """Show a distribution; a percentile only of so many values that it can be another than the largest."""
    percentiles = [
        _shown(getattr(values, name), form) if values.count * (100 - percent) >= 100 else "-"
        for name, percent in PERCENTILES.items()
    ]
    return [str(values.count), *percentiles, _shown(values.largest, form)]


def _shown(value: float | None, form: str) -> str:
    return NEVER if value is None else f"{value:{form}}"
