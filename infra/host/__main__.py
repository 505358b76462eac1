"""Runs Vestnik's functions outside Lambda, against the queues and tables of a deployed stack.

What they need to know stands in the environment: what `environment` prints, and AWS's own variables. With
SHIP_LOGS=true what they say goes to the log groups of their functions too.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bootstrap import application
from chalicelib.config import Settings
from chalicelib.errors import ConfigurationError
from chalicelib.observability import logger as shaped
from infra.host import api
from infra.host.clock import PLANNER, loops_of_clock
from infra.host.environment import NoEnvironmentError, environment_of
from infra.host.function_process import CallError, FunctionProcess
from infra.host.functions import Function, functions, with_queues, with_schedules
from infra.host.log_shipping import LogShipper, TakeLine, print_line
from infra.host.supervisor import Loop, supervise
from infra.host.worker import WAIT_SECONDS, loops_of_worker

LONGEST_STOP_SECONDS = 65  # only a check of counters may last longer: it changes nothing, and is ended
AWS = Config(connect_timeout=2, read_timeout=WAIT_SECONDS + 8, retries={"mode": "standard", "total_max_attempts": 2})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it is done or was told to stop and did, 1 with a line that says why not."""
    options = _parser().parse_args(arguments)
    _find_region()
    try:
        if options.command == "environment":
            told = environment_of(boto3.client("lambda", config=AWS), options.stack_name)
            print("\n".join(f"{name}={value}" for name, value in told.items()))
            return 0
        Settings.from_env()
    except (ConfigurationError, NoEnvironmentError, BotoCoreError, ClientError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    ships = os.environ.get("SHIP_LOGS") == "true"
    _configure_logging()
    if options.command == "api":
        return api.run_shipped(options.bind, _shipper()) if ships else api.run(options.bind)
    shipper = _shipper() if ships else None
    try:
        if options.command == "call":
            return _call(options.function, options.event, shipper or print_line)
        wanted = [functions()[name] for name in options.functions or options.choices]
        loops = _loops(options, wanted, shipper or print_line)
        longest = max(function.timeout_seconds for function in wanted) + WAIT_SECONDS + 1
        return supervise(loops, stop_seconds=min(longest, LONGEST_STOP_SECONDS), alive_file=options.alive_file)
    finally:
        if shipper:
            shipper.close()


def _call(function: str, event: object, take_line: TakeLine) -> int:
    process = FunctionProcess(functions()[function], take_line)
    try:
        returned = process.call(event)
    except CallError as error:
        print(f"call: {error}", file=sys.stderr)
        return 1
    finally:
        process.end()
    print(json.dumps(returned))
    return 0


def _loops(options: argparse.Namespace, wanted: Sequence[Function], take_line: TakeLine) -> Sequence[Loop]:
    if options.command == "clock":
        return loops_of_clock(wanted, application().mailings, take_line)
    return loops_of_worker(wanted, boto3.client("sqs", config=AWS), take_line, options.processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m infra.host", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    api_ = commands.add_parser("api", help="serves the API over HTTP, by as many processes as WEB_CONCURRENCY says")
    api_.add_argument("--bind", default="127.0.0.1:8080", metavar="ADDRESS", help="default 127.0.0.1:8080")

    worker = commands.add_parser("worker", help="works the queues off")
    _add_functions(worker, [function.name for function in with_queues()])
    worker.add_argument(
        "--processes", type=_number, metavar="N", help="for each queue; default: the template's MaximumConcurrency"
    )

    clock = commands.add_parser("clock", help="fires the schedules, and starts mailings that are due")
    _add_functions(clock, [PLANNER, *(function.name for function in with_schedules())])

    call = commands.add_parser("call", help="calls a function once; what it returns is the last line")
    call.add_argument("function", choices=sorted(functions()), metavar="FUNCTION", help=", ".join(sorted(functions())))
    call.add_argument("event", type=json.loads, metavar="JSON", help='such as {"source": "aws.events"}')

    environment = commands.add_parser("environment", help="prints what the functions of a deployed stack are told")
    environment.add_argument("--stack-name", required=True, metavar="NAME")
    return parser


def _add_functions(parser: argparse.ArgumentParser, choices: Sequence[str]) -> None:
    def known(name: str) -> str:
        if name not in choices:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(choices)}")
        return name

    parser.add_argument("functions", nargs="*", type=known, metavar="FUNCTION", help=f"of {', '.join(choices)} (all)")
    parser.add_argument("--alive-file", type=Path, metavar="PATH", help="touched each second while all is well")
    parser.set_defaults(choices=choices)


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return number


def _find_region() -> None:
    """Have both names of the region: Lambda sets both, and PynamoDB heeds the second only."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        os.environ.update(AWS_REGION=region, AWS_DEFAULT_REGION=region)


def _configure_logging() -> None:
    """Give our own lines the shape of the functions'."""
    logger = logging.getLogger("infra.host")
    logger.handlers = [shaped.logger_handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _shipper() -> LogShipper:
    return LogShipper(boto3.client("logs", config=AWS))


if __name__ == "__main__":
    sys.exit(main())
