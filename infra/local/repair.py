"""Recount the messages of a mailing, say by how much its counters drift, and set them right.

The function drift-check does it, by the rows. A mailing that is just being sent has no moment to compare the two:
try again when it is calmer.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_error import LocalError
from targets import Target, add_target, target_of

USAGE = """make repair MAILING=ID  [DRY_RUN=1] [STAGE=dev]
       repair.py --mailing ID  [--dry-run] [--stage STAGE | --stack-name NAME]"""
FUNCTION = "drift-check"
COLUMNS = ("counter", "rows", "counted", "difference")
INTERRUPTED = 130
# As long as the function may take, and once: a call that is repeated would meet itself.
_PATIENT = Config(read_timeout=910, retries={"total_max_attempts": 1}, tcp_keepalive=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found and done; 0 if the counters are right or were set right, 1 with a line that says why not."""
    options = _parser().parse_args(arguments)
    try:
        answer = _call(target_of(options), {"mailing_id": options.mailing, "repair": not options.dry_run})
    except LocalError as error:
        print(f"make repair: {error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        way_out = "" if options.stage or options.stack_name else "; is the stack up? `make up` starts it"
        print(f"make repair: {error}{way_out}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make repair: interrupted; the function may go on, and running it again is safe", file=sys.stderr)
        return INTERRUPTED
    for line in _table(answer["counters"]):
        print(line)
    wrong = _conclusion(answer, dry_run=options.dry_run)
    if wrong:
        print(f"make repair: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make repair", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--mailing", required=True, metavar="ID", help="the mailing's id")
    parser.add_argument("--dry-run", action="store_true", help="say the drift and change nothing")
    add_target(parser)
    return parser


def _call(target: Target, request: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Have the function work and return its answer.

    Raises:
        LocalError: there is no such function, it failed, or it says what is wrong with the request.
    """
    function, functions = f"{target.stack_name}-{FUNCTION}", target.client("lambda", _PATIENT)
    try:
        called = functions.invoke(FunctionName=function, Payload=json.dumps(request).encode())
    except functions.exceptions.ResourceNotFoundException:
        raise LocalError(
            f"there is no function {function} in {functions.meta.region_name} at {functions.meta.endpoint_url}"
        ) from None
    answer = json.loads(called["Payload"].read())
    if "FunctionError" in called:
        raise LocalError(f"the function {function} failed: {answer.get('errorMessage', answer)}")
    if "error" in answer:
        raise LocalError(answer["error"])
    return answer


def _table(counters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each counter, below the names of the columns."""
    lines = [COLUMNS, *(tuple(str(counter[column]) for column in COLUMNS) for counter in counters)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *numbers in lines if counters else []:
        shown = (f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *shown])


def _conclusion(answer: Mapping[str, Any], *, dry_run: bool) -> str:
    """Print what was done, unless something is wrong: then return what."""
    if answer["verdict"] == "right":
        print("no drift: the counters say what the rows do")
        return ""
    if answer["verdict"] == "busy":
        return f"busy, nothing was changed: {answer['detail']}; try again later"
    if answer["verdict"] == "unchecked":
        return f"not checked, nothing was changed: {answer['detail']}"
    if dry_run:
        return "the counters drift, and nothing was changed; without DRY_RUN they are set right"
    if answer["after"]["verdict"] == "drift":
        return "the counters were set right and drift again; see the function's log"
    if answer["after"]["verdict"] == "right":
        print("repaired: the counters say what the rows do")
    else:
        print(f"repaired, but not seen to be right: {answer['after']['detail']}")
    return ""


if __name__ == "__main__":
    sys.exit(main())
