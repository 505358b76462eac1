"""Delete a stage's stack: say what goes and what stays, have the stage's name typed, wait until it is gone.

Tables and the bucket of imports stay, unless --with-data.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))  # run by its path, this program finds its own folder only

from bundle import make_bundle  # noqa: E402 - these need the line above
from change_table import aligned  # noqa: E402
from deployment import Deployment  # noqa: E402
from leftovers import Leftovers  # noqa: E402
from local_error import LocalError  # noqa: E402
from shell_session import ShellSession, said_by  # noqa: E402
from stack_events import print_event  # noqa: E402
from stages import PRODUCTION  # noqa: E402
from targets import stack_of  # noqa: E402

USAGE = """make destroy STAGE=dev  [WITH_DATA=1] [YES=1] [CONFIRM=prod]
       destroy.py STAGE [--with-data] [--yes] [--confirm STAGE]"""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Delete the stack; 0 when it is gone, 1 with a line that says why not."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LocalError as error:
        print(f"make destroy: {error}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"make destroy: {said_by(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("make destroy: interrupted; what was begun goes on, and running it again is safe", file=sys.stderr)
        return INTERRUPTED
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make destroy", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("stage", help="the stack is vestnik-STAGE, or $STACK_NAME")
    parser.add_argument("--with-data", action="store_true", help="delete the tables and the bucket of imports, too")
    parser.add_argument("--yes", action="store_true", help=f"do not ask; stage {PRODUCTION} needs --confirm even so")
    parser.add_argument("--confirm", default="", metavar="STAGE", help="the stage's name, as if it were typed")
    return parser


def _run(options: argparse.Namespace) -> int:
    stack_name = stack_of(options.stage)
    session = ShellSession()
    who = session.client("sts").get_caller_identity()
    print(f"{stack_name} in account {who['Account']}, {session.endpoint or session.region}, as {who['Arn']}")
    deployment = Deployment(session, stack_name, emulated=session.emulated)
    template = json.loads(make_bundle().template.read_text())
    leftovers = Leftovers(session.client("dynamodb"), session.client("s3"), stack_name, template)
    status, held = deployment.status(), list(leftovers.described())
    if status is None and not (options.with_data and held):
        print("there is no such stack" + ("; what an earlier one left:" if held else ""))
        _print_held(held)
        return 0
    _say_what_goes(status, held, with_data=options.with_data)
    if not _agreed(options):
        print("nothing was deleted")
        return 1
    deployment.delete(print_event)
    if options.with_data:
        leftovers.delete()
    held = list(leftovers.described())
    print("gone" + ("; what stays:" if held else ", with all it held"))
    _print_held(held)
    if held:
        print(f"delete it for good: make destroy STAGE={options.stage} WITH_DATA=1")
        print(f"take it over again: make deploy STAGE={options.stage} ADOPT=1")
    return 0


def _say_what_goes(status: str | None, held: Sequence[tuple[str, str, str]], *, with_data: bool) -> None:
    if status:
        print(
            f"functions, queues with their tickets, schedules, secrets, logs and alarms are deleted (it is in {status})"
        )
    print("DELETED FOR GOOD, with all they hold:" if with_data else "retained:")
    _print_held(held)


def _print_held(held: Sequence[tuple[str, str, str]]) -> None:
    for line in aligned(held):
        print(f"  {line}")


def _agreed(options: argparse.Namespace) -> bool:
    if options.confirm:
        if options.confirm != options.stage:
            raise LocalError(f"{options.confirm!r} is confirmed, and the stage is {options.stage!r}")
        return True
    if options.yes:
        if options.stage == PRODUCTION:
            raise LocalError(f"YES=1 is not enough for stage {PRODUCTION}; confirm its name: CONFIRM={PRODUCTION}")
        return True
    if not sys.stdin.isatty():
        raise LocalError("nobody is there to ask: there is no terminal, and no YES=1")
    return bool(input(f"Type the stage's name to delete it ({options.stage}): ").strip() == options.stage)


if __name__ == "__main__":
    sys.exit(main())
