"""`make bench`: how fast the packaged application is on the embedded stack, beside a bare loop on the same machine,
and what it consumes: calls, units, memory, dollars.

Prints tables, medians over the runs. Ends with 1 if a message was lost, repeated or miscounted, or a part did not come
to its end; never because of a time. Delivery and recovery are run several times, each time on warm functions; what is
measured request by request or call by call (API, start, cold, cost) once. All of it takes some twenty minutes on two
cores that do nothing else. Beside mailings the emulator answers slowly: 300 requests to each route take
BUSY_SECONDS=1500. A run at CLIENTS=100000 takes some five minutes.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import BrokenBarrierError

import requests
from botocore.exceptions import BotoCoreError, ClientError

from local_error import LocalError
from tests.bench import recovery
from tests.bench.api_latency import api_latency
from tests.bench.bench_stack import Ground, load_crowd, warm_up
from tests.bench.cold_start import cold_starts, measure_package
from tests.bench.consumption import recording
from tests.bench.delivery import deliver
from tests.bench.importing import import_twice
from tests.bench.machine import this_machine
from tests.bench.report import Results
from tests.bench.spending import spend
from tests.bench.start_latency import start_latency

CLIENTS = (1_000, 10_000)
FEWEST_CLIENTS = 100  # fewer are sent within a moment, which is no rate
FEWEST_SENDERS = 2  # as Lambda has it of an event source's concurrency
API_CLIENTS = 10_000
LATENCY_MS = 50.0
RUNS = 3
IMPORT_ROWS = 100_000
BUSY_SECONDS = 360.0  # a hundred requests to each route, of which there is a p99
# What may keep one part from its end: the others are measured all the same, and the end of the report names it.
UNFINISHED = (
    AssertionError,
    ValueError,  # too little was measured for a rate
    LocalError,
    BrokenBarrierError,
    requests.RequestException,
    BotoCoreError,
    ClientError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _options(arguments)
    ground = Ground(options.latency_ms, options.concurrency, host=options.host)
    results = Results(this_machine(), options.latency_ms, options.concurrency, options.host)
    for name in options.only:
        began = time.monotonic()
        try:
            PARTS[name](ground, options, results)
        except UNFINISHED as error:
            results.unfinished.append(f"{name}: {error!r}")
        _say(f"{name}: {time.monotonic() - began:.0f} s")
    _say(results.text())
    if options.json:
        options.json.write_text(json.dumps(results.to_json(), indent=2) + "\n")
    for wrong in results.wrongs:
        _say(f"WRONG {wrong}")
    return 1 if results.wrongs else 0


def _deliveries(ground: Ground, options: argparse.Namespace, results: Results) -> None:
    for clients in options.clients or CLIENTS:
        with ground.stack() as stack:
            load_crowd(stack, clients)
            warm_up(stack)
            for run in range(options.runs):
                one = deliver(stack, clients)
                results.deliveries.append(one)
                _say(
                    f"delivery to {clients}, run {run + 1}, a second: {one.request_rate:.0f} from first to last "
                    f"request, {one.whole_rate:.0f} from POST to last outcome; bare loop {one.bare_rate:.0f}"
                )


def _costs(ground: Ground, options: argparse.Namespace, results: Results) -> None:
    for clients in options.clients or CLIENTS:
        with (
            tempfile.TemporaryDirectory(prefix="vestnik-calls-") as folder,
            replace(ground, emulator=recording(Path(folder))).stack() as stack,
        ):
            load_crowd(stack, clients)
            warm_up(stack)
            results.spendings.append(spend(stack, Path(folder), clients))


def _api(ground: Ground, options: argparse.Namespace, results: Results) -> None:
    with ground.stack() as stack:
        load_crowd(stack, API_CLIENTS)
        results.api = api_latency(stack, API_CLIENTS, options.busy_seconds)


def _cold(_: Ground, __: argparse.Namespace, results: Results) -> None:
    results.package = measure_package()
    results.cold_starts = cold_starts()


def _start(ground: Ground, _: argparse.Namespace, results: Results) -> None:
    with ground.stack() as stack:
        results.start = start_latency(stack)


def _recoveries(ground: Ground, options: argparse.Namespace, results: Results) -> None:
    with ground.stack() as stack:
        load_crowd(stack, recovery.CLIENTS)
        warm_up(stack)
        for run in range(options.runs):
            one = recovery.recover(stack, ground.latency_ms)
            results.recoveries.append(one)
            reached = "never at full rate" if one.full_rate is None else f"at full rate after {one.full_rate:.1f} s"
            _say(f"recovery, run {run + 1}: {reached}, the probe was due after {one.next_probe:.1f} s")


def _import(ground: Ground, _: argparse.Namespace, results: Results) -> None:
    with ground.stack() as stack:
        results.imports = import_twice(stack, IMPORT_ROWS)


# Each has stacks of its own, so that none finds what another left behind.
PARTS = {
    "delivery": _deliveries,
    "cost": _costs,
    "cold": _cold,
    "api": _api,
    "start": _start,
    "recovery": _recoveries,
    "import": _import,
}
OF_LAMBDA = frozenset({"cost", "cold"})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clients", type=_clients, action="append", help="of a delivery; again for another size (default: 1000, 10000)"
    )
    parser.add_argument(
        "--latency-ms", type=_not_negative, default=LATENCY_MS, help="the provider's (default: %(default)g)"
    )
    parser.add_argument("--concurrency", type=_senders, help="of senders (default: that of infra/template.yaml)")
    parser.add_argument("--runs", type=_count, default=RUNS, help="of delivery and recovery (default: %(default)s)")
    parser.add_argument(
        "--busy-seconds",
        type=_not_negative,
        default=BUSY_SECONDS,
        help="how long at most the API is measured beside mailings (default: %(default)g)",
    )
    parser.add_argument("--host", action="store_true", help="measure infra/host in place of Lambda functions")
    parser.add_argument("--only", type=_parts, help=f"of {','.join(PARTS)}, joined by commas (default: all there are)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="where to write all numbers")
    options = parser.parse_args(arguments)
    of_lambda = sorted(OF_LAMBDA.intersection(options.only or ())) if options.host else []
    if of_lambda:
        parser.error(f"{', '.join(of_lambda)}: of Lambda functions, and with --host there are none")
    options.only = options.only or [name for name in PARTS if not (options.host and name in OF_LAMBDA)]
    return options


def _count(text: str) -> int:
    return int(_at_least(int(text), 1))


def _senders(text: str) -> int:
    return int(_at_least(int(text), FEWEST_SENDERS))


def _clients(text: str) -> int:
    return int(_at_least(int(text), FEWEST_CLIENTS))


def _not_negative(text: str) -> float:
    return _at_least(float(text), 0)


def _at_least(value: float, least: int) -> float:
    if not value >= least:
        raise argparse.ArgumentTypeError(f"must be at least {least}")
    return value


def _file(text: str) -> Path:
    if not Path(text).resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder for {text}")
    return Path(text)


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command talks by printing


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a stack is ended, whoever ends this
    sys.exit(main())
