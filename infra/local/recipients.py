"""Who got a mailing: a CSV line for each message of a status, with the client's phone as it is by now.

Clients that are gone have no phone. It asks the API at `$API` with `$TOKEN`, or that of `make up`.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from local_error import LocalError
from sessions import HOST
from targets import STACK_FILE

USAGE = """make --silent recipients MAILING=ID  [STATUS=sent]
       recipients.py --mailing ID  [--status sent]"""
COLUMNS = ("phone", "client_id", "message_id", "sent_at")
TIMEOUT_SECONDS = 30
_NOT_FOUND = 404


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the lines; 0 when all are printed, 1 with a line that says why not."""
    parser = argparse.ArgumentParser(
        "make recipients", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--mailing", required=True, metavar="ID", help="the mailing's id")
    parser.add_argument("--status", default="sent", help="of which messages (default: %(default)s)")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, metavar="FILE", help="the file that `make up` wrote")
    options = parser.parse_args(arguments)
    try:
        api, token = _door(options.stack)
        with requests.Session() as session:
            session.trust_env = HOST not in api  # no proxy stands between two programs on loopback
            session.headers["Authorization"] = f"Bearer {token}"
            lines = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
            lines.writeheader()
            lines.writerows(_recipients(session, api, options.mailing, options.status))
    except (LocalError, requests.RequestException) as error:
        print(f"make recipients: {error}", file=sys.stderr)
        return 1
    return 0


def _door(stack: Path) -> tuple[str, str]:
    if "API" in os.environ and "TOKEN" in os.environ:
        return os.environ["API"].rstrip("/"), os.environ["TOKEN"]
    if not stack.exists():
        raise LocalError(f"there is no {stack}; start the stack with: make up; or set API and TOKEN")
    info = json.loads(stack.read_text())
    return info["api_url"], info["token"]


def _recipients(session: requests.Session, api: str, mailing: str, status: str) -> Iterator[Mapping[str, Any]]:
    cursor = None
    while True:
        wanted = {"status": status, "limit": "500"} | ({"cursor": cursor} if cursor else {})
        page = _read(session, f"{api}/mailings/{mailing}/messages", wanted)
        for row in page["items"]:
            client = _read(session, f"{api}/clients/{row['client_id']}", gone={})
            yield {**row, "message_id": row["id"], "phone": client.get("phone", "")}
        cursor = page["next"]
        if cursor is None:
            return


def _read(
    session: requests.Session,
    url: str,
    params: Mapping[str, str] | None = None,
    gone: Any = None,  # noqa: ANN401 - JSON
) -> Any:  # noqa: ANN401 - JSON
    answer = session.get(url, params=params, timeout=TIMEOUT_SECONDS)
    if answer.status_code == _NOT_FOUND and gone is not None:
        return gone
    if not answer.ok:
        raise LocalError(f"{url} answers {answer.status_code}: {answer.text}")
    return answer.json()


if __name__ == "__main__":
    sys.exit(main())
