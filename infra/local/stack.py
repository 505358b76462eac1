"""`make up` and `make down`: the embedded stack of this checkout."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))  # run by its path, this program finds its own folder only

from chalicelib.config import Tuning  # noqa: E402 - these need the line above
from chalicelib.errors import ConfigurationError  # noqa: E402
from embedded import INFO_FILE, SCRAPE_SECRET_FILE, EmbeddedStack, StackInfo, StackOptions  # noqa: E402
from local_error import LocalError  # noqa: E402
from programs import EMULATOR_LOG  # noqa: E402

INTERRUPTED = 130


def main() -> int:
    """Run the command; 0 when it is done, 1 with a line that says why not, 130 when interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--folder", type=Path, default=ROOT / ".local", help="where the stack's state is kept")
    arguments = parser.parse_args()
    command, folder = arguments.command, arguments.folder
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # also where a shell has SIGINT ignored, as for its background jobs
    try:
        stack = EmbeddedStack(_options(folder))
        if command == "up":
            _show(stack.up(), folder)
        else:
            stack.down()
    except (LocalError, ConfigurationError) as error:
        print(f"make {command}: {error}", file=sys.stderr)
        if (folder / EMULATOR_LOG).exists():
            print(f"the emulator's log: {folder / EMULATOR_LOG}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {command}: interrupted; what it started is ended", file=sys.stderr)
        return INTERRUPTED
    return 0


def _options(folder: Path) -> StackOptions:
    given = {name: value for name, value in os.environ.items() if value}
    return StackOptions(
        folder=folder,
        port=_port(given["PORT"]) if "PORT" in given else None,
        stack_name=given.get("STACK_NAME", "vestnik"),
        settings={name: given[name] for name in map(str.upper, Tuning.model_fields) if name in given},
        token=given.get("TOKEN"),
        provider_token=given.get("PROVIDER_TOKEN"),
        host=given.get("HOST") == "1",  # some shells have their machine's name there
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):  # noqa: PLR2004 - TCP has no more
        raise LocalError(f"PORT is {text!r}; it must be a number from 1 to 65535")
    return int(text)


def _show(info: StackInfo, folder: Path) -> None:
    print(f"API       {info.api_url}")
    print(f"docs      {info.docs_url}")
    print(f"pages     {info.admin_url}")
    print(f"metrics   {info.metrics_url}, with {os.path.relpath(folder / SCRAPE_SECRET_FILE)} as a bearer token")
    print(f"provider  {info.provider_url}")
    print(f"AWS       {info.aws_endpoint_url}")
    print(f"issuer    {info.issuer_url}")
    if info.token:
        print(f"token     in {os.path.relpath(folder / INFO_FILE)}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
