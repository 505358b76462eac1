"""What happened to one mailing, message or client, or came of one request to the API.

These are the log lines of all functions that name it, in order of time.
A line names it in a field (mailing_id, message_id, client_id, correlation_id) or in a list (mailing_ids and so on).
The story of a message has its mailing's milestones too: the lines that begin with the word "mailing". Planning
writes rows in bulk, so a message's own story begins with its first request. GET requests that were answered
are left out unless --reads is given. What a function says may appear only when its invocation has ended, and the
milestones are searched for after the message's own lines: while things happen, a later line may be there before an
earlier one. Ask again.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # run by its path, it finds its own folder only

from chalicelib.adapters.function_logs import CloudWatchFunctionLogs
from chalicelib.correlation import REQUEST_ID
from chalicelib.domain.journal import FUNCTIONS, Line, Subject
from chalicelib.services.read_journal import ReadJournal
from local_error import LocalError
from story import table
from targets import Target, add_target, target_of

USAGE = """make logs MAILING=ID | MESSAGE=ID | CLIENT=ID | REQUEST=ID  [SINCE=24h] [STAGE=dev]
       journal.py --mailing ID | --message ID | --client ID | --request ID
           [--since 24h] [--stage STAGE | --stack-name NAME] [--reads] [--json]"""
ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
IDS = {"mailing": ULID, "message": r"[1-9][0-9]{0,15}", "client": ULID, "request": REQUEST_ID.pattern}
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the story; 0 when there is one, 1 with a line that says why not."""
    options = _parser().parse_args(arguments)
    try:
        lines = _lines(target_of(options), options)
        if not lines:
            print(_nothing_about(options.subject), file=sys.stderr)
            return 1
        for text in (line.raw for line in lines) if options.json else table(lines):
            print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as `head` has; the interpreter's last flush must not fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (LocalError, BotoCoreError, ClientError) as error:
        print(f"make logs: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _lines(target: Target, options: argparse.Namespace) -> Sequence[Line]:
    logs = target.client("logs")
    read = ReadJournal(CloudWatchFunctionLogs(logs, target.stack_name), _now)
    journal = read(options.subject, _now() - options.since, reads=options.reads)
    if journal.failed:
        way_out = "" if options.stage or options.stack_name else "; is the stack up? `make up` starts it"
        raise LocalError(f"{journal.failed[0][1]}{way_out}")
    if set(journal.missing) == set(FUNCTIONS):
        raise LocalError(
            f"no function of a stack {target.stack_name!r} has a log group (/aws/lambda/{target.stack_name}-*) "
            f"in {logs.meta.region_name} at {logs.meta.endpoint_url}"
        )
    return journal.lines


def _now() -> datetime:
    return datetime.now(UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make logs", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    for kind, shape in IDS.items():
        subject.add_argument(f"--{kind}", dest="subject", metavar="ID", type=_subject(kind, shape), help=f"of a {kind}")
    parser.add_argument(
        "--since", type=_period, default="24h", metavar="PERIOD", help="how far to look back: 30m, 2h, 7d (default 24h)"
    )
    add_target(parser)
    parser.add_argument("--reads", action="store_true", help="show GET requests too")
    parser.add_argument("--json", action="store_true", help="print the lines as they were logged")
    return parser


def _subject(kind: str, shape: str) -> Callable[[str], Subject]:
    def read(text: str) -> Subject:
        if not re.fullmatch(shape, text):
            raise argparse.ArgumentTypeError(f"{text!r} is not the id of a {kind}")
        return Subject(kind, text)

    return read


def _period(text: str) -> timedelta:
    if not re.fullmatch(r"[0-9]{1,5}[mhd]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no period; write 30m, 2h or 7d")
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def _nothing_about(subject: Subject) -> str:
    missing = f"make logs: no line of that time names the {subject.kind} {subject.id}; look further back with SINCE=7d"
    return missing if subject.is_request else f"{missing}, or ask the API: GET /{subject.kind}s/{subject.id}"


if __name__ == "__main__":
    sys.exit(main())
