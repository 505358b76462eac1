"""Which stack a program speaks to: the embedded one by the file that `make up` wrote, or one on AWS by its name."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config

from local_error import LocalError
from sessions import LocalSession
from shell_session import ShellSession

STACK_FILE = Path(__file__).resolve().parents[2] / ".local" / "stack.json"


@dataclass(frozen=True)
class Target:
    """A stack, and clients of the AWS that it is on."""

    session: LocalSession | ShellSession
    stack_name: str

    def client(self, service: str, config: Config | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service; `config` goes above what such clients have."""
        return self.session.client(service, config)


def stack_of(stage: str, environ: Mapping[str, str] = os.environ) -> str:
    """Name the stack of a stage: vestnik-STAGE, unless STACK_NAME names another.

    Raises:
        LocalError: it is no name of a stage.
    """
    if not re.fullmatch("[a-z][a-z0-9-]{0,19}", stage):
        raise LocalError(f"{stage!r} is no stage: a small letter, then up to 19 of a-z, 0-9 and -")
    return environ.get("STACK_NAME") or f"vestnik-{stage}"


def add_target(parser: argparse.ArgumentParser) -> None:
    """Let a program's command line name its stack: `stack_name`, or the file `stack`."""
    elsewhere = parser.add_mutually_exclusive_group()
    elsewhere.add_argument(
        "--stage", help="a stage that was deployed to AWS, with the shell's credentials, not the embedded stack"
    )
    elsewhere.add_argument("--stack-name", metavar="NAME", help="the same by the name of its stack")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, metavar="FILE", help="the file that `make up` wrote")


def target_of(options: argparse.Namespace) -> Target:
    """Find the stack that the command line names.

    Raises:
        LocalError: it names none, and there is no embedded one.
    """
    if name := options.stack_name or (options.stage and stack_of(options.stage)):
        return Target(ShellSession(), name)
    try:
        stack = json.loads(options.stack.read_text())
    except FileNotFoundError:
        raise LocalError(
            f"there is no {options.stack}; start the stack with: make up; or name a stage on AWS: STAGE=dev"
        ) from None
    port = urlsplit(stack["aws_endpoint_url"]).port
    return Target(LocalSession(port or 80), stack["stack_name"])
