"""Which stack a program speaks to: the embedded one by the file that `make up` wrote, or one on AWS by its name."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from local_error import LocalError
from sessions import LocalSession

STACK_FILE = Path(__file__).resolve().parents[2] / ".local" / "stack.json"


@dataclass(frozen=True)
class Target:
    """A stack, and clients of the AWS that it is on."""

    session: "LocalSession | boto3.Session"
    stack_name: str

    def client(self, service: str, config: Config | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service; `config` goes above what such clients have."""
        if isinstance(self.session, LocalSession):
            return self.session.client(service, config)
        return self.session.client(service, config=config)  # type: ignore[call-overload]


def add_target(parser: argparse.ArgumentParser) -> None:
    """Let a program's command line name its stack: `stack_name`, or the file `stack`."""
    parser.add_argument(
        "--stack-name", metavar="NAME", help="a stack on AWS, with the shell's credentials, not the embedded one"
    )
    parser.add_argument("--stack", type=Path, default=STACK_FILE, metavar="FILE", help="the file that `make up` wrote")


def target_of(options: argparse.Namespace) -> Target:
    """Find the stack that the command line names.

    Raises:
        LocalError: it names none, and there is no embedded one.
    """
    if options.stack_name:
        return Target(boto3.Session(), options.stack_name)
    try:
        stack = json.loads(options.stack.read_text())
    except FileNotFoundError:
        raise LocalError(
            f"there is no {options.stack}; start the stack with: make up; or name one on AWS: STAGE=STACK_NAME"
        ) from None
    port = urlsplit(stack["aws_endpoint_url"]).port
    return Target(LocalSession(port or 80), stack["stack_name"])
