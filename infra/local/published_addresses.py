"""Tell where a stack in containers is, as seen from their machine, and what a Prometheus beside it needs.

Beside the stack's file it writes: `published.json`, the same with published addresses; `scrape-targets.json` and
`scrape-secret`, for `file_sd_configs` and `credentials_file` of Prometheus.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from files import write_private
from local_error import LocalError
from shell_session import ShellSession, said_by

SHOWN = ("api_url", "docs_url", "admin_url", "metrics_url", "provider_url", "issuer_url", "aws_endpoint_url")


@dataclass(frozen=True)
class Published:
    """Where the machine of the containers publishes AWS and the provider."""

    aws: str
    provider: str

    def seen_from_outside(self, stack: Mapping[str, Any]) -> dict[str, Any]:
        """Put published addresses in the place of those that containers know; others stay."""
        pairs = ((stack["aws_endpoint_url"], self.aws), (stack["provider_url"], self.provider))
        seen = dict(stack)
        for name in SHOWN:
            for inside, outside in pairs:
                if str(seen[name]).startswith(inside):
                    seen[name] = outside + seen[name].removeprefix(inside)
        return seen


def scrape_targets(metrics_url: str) -> list[dict[str, Any]]:
    """Describe what Prometheus scrapes, in the shape of its `file_sd_configs`."""
    parts = urlsplit(metrics_url)
    return [
        {"targets": [parts.netloc], "labels": {"__scheme__": parts.scheme, "__metrics_path__": parts.path}},
    ]


def main() -> int:
    """Write the files and print the addresses; 1 with a line that says why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", type=Path, required=True, help="the file that deploy.py wrote")
    parser.add_argument("--aws", required=True, metavar="URL", help="where AWS is published")
    parser.add_argument("--provider", required=True, metavar="URL", help="where the provider is published")
    options = parser.parse_args()
    try:
        seen = _write(options.stack, Published(options.aws, options.provider))
    except FileNotFoundError:
        print(f"there is no {options.stack}; deploy.py --info writes it", file=sys.stderr)
        return 1
    except (LocalError, BotoCoreError, ClientError) as error:
        print(error if isinstance(error, LocalError) else said_by(error), file=sys.stderr)
        return 1
    for name in SHOWN:
        print(f"{name.removesuffix('_url').replace('_', ' '):<14} {seen[name]}")
    return 0


def _write(stack_file: Path, published: Published) -> Mapping[str, Any]:
    stack = json.loads(stack_file.read_text())
    secrets = ShellSession().client("secretsmanager")
    secret = secrets.get_secret_value(SecretId=f"{stack['stack_name']}/scrape-secret")["SecretString"]
    seen = published.seen_from_outside(stack)
    write_private(stack_file.with_name("scrape-secret"), secret)
    write_private(stack_file.with_name("scrape-targets.json"), json.dumps(scrape_targets(stack["metrics_url"])))
    write_private(stack_file.with_name("published.json"), json.dumps(seen, indent=2) + "\n")
    return seen


if __name__ == "__main__":
    sys.exit(main())
