"""The e-mails that the embedded stack has sent, and a way to have the daily report sent now.

On the embedded stack nothing leaves the machine: its emulator keeps what it was given.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from local_error import LocalError
from targets import STACK_FILE, target_of

USAGE = "make mail  [SEND=today|yesterday]"
FUNCTION = "daily-report"
TIMEOUT_SECONDS = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the mails, oldest first, and write the HTML of each into a file; 1 with a line that says why not."""
    options = _parser().parse_args(arguments)
    try:
        if options.send:
            _send(options)
        mails = _sent(options.stack)
    except (LocalError, BotoCoreError, ClientError, requests.RequestException) as error:
        print(f"make mail: {error}", file=sys.stderr)
        return 1
    for number, mail in enumerate(mails, start=1):
        _show(mail, options.stack.parent / "mail" / f"{number:03d}.html")
    if not mails:
        print("no mail was sent yet; make mail SEND=today sends the report of today so far")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make mail", USAGE, __doc__, allow_abbrev=False)
    parser.add_argument("--send", choices=["today", "yesterday"], help="send the report of that day first, at once")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, metavar="FILE", help="the file that `make up` wrote")
    parser.set_defaults(stack_name=None, stage=None)
    return parser


def _send(options: argparse.Namespace) -> None:
    """Have the function send a report.

    Raises:
        LocalError: it did not, and says why.
    """
    target = target_of(options)
    called = target.client("lambda").invoke(
        FunctionName=f"{target.stack_name}-{FUNCTION}", Payload=json.dumps({"day": options.send}).encode()
    )
    answer = json.loads(called["Payload"].read())
    if "FunctionError" in called:
        raise LocalError(f"the report was not sent: {answer.get('errorMessage', answer)}")
    if answer.get("outcome") != "sent":
        raise LocalError(f"the report was not sent: {answer.get('outcome') or answer['error']}")


def _sent(stack_file: Path) -> Sequence[Mapping[str, Any]]:
    """Ask the emulator for the mails that it was given, oldest first.

    Raises:
        LocalError: there is no stack.
    """
    if not stack_file.exists():
        raise LocalError(f"there is no {stack_file}; start the stack with: make up")
    address = f"{json.loads(stack_file.read_text())['aws_endpoint_url']}/_ministack/ses/messages"
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between two programs on loopback
        answer = session.get(address, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    by_account: Mapping[str, Sequence[Mapping[str, Any]]] = answer.json()["messages"]
    return sorted((mail for mails in by_account.values() for mail in mails), key=lambda mail: float(mail["Timestamp"]))


def _show(mail: Mapping[str, Any], html_file: Path) -> None:
    print(f"date     {datetime.fromtimestamp(mail['Timestamp'], UTC):%Y-%m-%d %H:%M:%S} UTC")
    print(f"from     {mail['Source']}")
    print(f"to       {', '.join(mail['To'])}")
    print(f"subject  {mail['Subject']}")
    if mail["BodyHtml"]:
        html_file.parent.mkdir(exist_ok=True)
        html_file.write_text(_lines(mail["BodyHtml"]), encoding="utf-8")
        print(f"html     {os.path.relpath(html_file)}")
    print(f"\n{_lines(mail['BodyText']).strip()}\n\n")


def _lines(body: str) -> str:
    """Give a body the line ends of a terminal; in mails they are CRLF."""
    return "\n".join(body.splitlines())


if __name__ == "__main__":
    sys.exit(main())
