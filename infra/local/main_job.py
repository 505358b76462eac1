"""`make run`: the main job for real, on the stack that `make up` started."""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

STACK_FILE = Path(__file__).resolve().parents[2] / ".local" / "stack.json"
ZONES = (
    "Europe/Kaliningrad",
    "Europe/Moscow",
    "Europe/Samara",
    "Asia/Yekaterinburg",
    "Asia/Novosibirsk",
    "Asia/Vladivostok",
    "+03:00",
)
OPERATOR_CODES = ("900", "903", "916", "926", "999")
TAG = "sample"
STATUSES = ("queued", "deferred", "sent", "failed", "expired", "cancelled")
OPEN = ("queued", "deferred")
CONNECTIONS = 4
CALL_SECONDS = 120
"""The emulator cuts no call off, as API Gateway would, and starts a process for each of the first CONNECTIONS."""
PATIENCE_SECONDS = 300
CONFLICT = 409
INTERRUPTED = 130


class JobError(Exception):
    """The job did not do what it should; the message says what happened."""


@dataclass(frozen=True)
class Api:
    """The API as its users know it: an address and a token."""

    url: str
    session: requests.Session

    @classmethod
    def of(cls, stack: Mapping[str, Any]) -> "Api":
        """Open the API of a stack. Raises JobError if its file has no token."""
        if not stack["token"]:
            raise JobError(f"the stack's file has no token; ask {stack['issuer_url']} for one: TOKEN=… make run")
        session = requests.Session()
        session.trust_env = False  # no proxy stands between two programs on loopback
        session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.headers["Authorization"] = f"Bearer {stack['token']}"
        return cls(stack["api_url"], session)

    def call(self, method: str, path: str, body: object = None, *, accept: Sequence[int] = ()) -> Any:  # noqa: ANN401 - JSON
        """Make a call; raises JobError with the problem's words unless it succeeds or has an accepted status."""
        response = self.session.request(method, f"{self.url}{path}", json=body, timeout=CALL_SECONDS)
        if not response.ok and response.status_code not in accept:
            raise JobError(f"{method} {path} answered {response.status_code}: {response.text[:500]}")
        return response.json()

    def pages(self, path: str) -> Iterator[Any]:
        """List everything under a path."""
        cursor = ""
        while True:
            page = self.call("GET", f"{path}?limit=500{cursor}")
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"


def main() -> int:
    """Load clients, send a mailing, show what became of it; 0 when every message was sent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=210, help="how many sample clients to load (default 210)")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, help="the file that `make up` wrote")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    try:
        stack = json.loads(arguments.stack.read_text())
        counts = run(Api.of(stack), arguments.clients, console)
    except FileNotFoundError:
        print(f"make run: there is no {arguments.stack}; start the stack with: make up", file=sys.stderr)
        return 1
    except (JobError, requests.RequestException) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make run: interrupted; the stack is still up, `make down` stops it", file=sys.stderr)
        return INTERRUPTED
    for name in ("api_url", "docs_url", "admin_url", "metrics_url", "provider_url", "issuer_url", "aws_endpoint_url"):
        if stack[name]:
            console.print(f"{name.removesuffix('_url').replace('_', ' '):<14} {stack[name]}", soft_wrap=True)
    console.print(f"{'token':<14} in {arguments.stack}", soft_wrap=True)
    console.print("The stack stays up; `make down` stops it.")
    return 0 if counts["sent"] == counts["total"] else 1


def run(api: Api, clients: int, console: Console) -> Counter[str]:
    """Do the job; returns the messages by status, and their total."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        _load_clients(api, clients, progress)
        mailing = _create_mailing(api)
        _watch(api, mailing["id"], clients, progress)
    return _show(api, mailing["id"], console)


def _load_clients(api: Api, clients: int, progress: Progress) -> None:
    task = progress.add_task("loading clients", total=clients)
    bodies = [
        {
            "phone": f"7{OPERATOR_CODES[index % len(OPERATOR_CODES)]}{index:07d}",
            "tag": TAG,
            "timezone": ZONES[index % len(ZONES)],
        }
        for index in range(clients)
    ]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        # A client that an earlier run loaded is as good.
        for _ in pool.map(lambda body: api.call("POST", "/clients", body, accept=[CONFLICT]), bodies):
            progress.advance(task)


def _create_mailing(api: Api) -> Any:  # noqa: ANN401 - JSON
    now = datetime.now(UTC)
    return api.call(
        "POST",
        "/mailings",
        {
            "start_at": now.isoformat(),
            "end_at": (now + timedelta(hours=1)).isoformat(),
            "text": "Vestnik says hello",
            "filter": {"tags": [TAG]},
        },
    )


def _watch(api: Api, mailing_id: str, clients: int, progress: Progress) -> None:
    task = progress.add_task("sending", total=clients)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        statistics = api.call("GET", f"/mailings/{mailing_id}/stats")
        counts = statistics["messages"]
        ended = counts["total"] - sum(counts[status] for status in OPEN)
        progress.update(task, completed=ended, total=max(clients, counts["total"]))
        if statistics["mailing"]["status"] == "finished":
            progress.update(task, total=counts["total"])
            return
        time.sleep(0.3)
    raise JobError(f"the mailing did not finish within {PATIENCE_SECONDS} s; so far: {counts}")


def _show(api: Api, mailing_id: str, console: Console) -> Counter[str]:
    statistics = api.call("GET", f"/mailings/{mailing_id}/stats")
    zones = {client["id"]: client["timezone"] for client in api.pages("/clients")}
    by_zone: dict[str, Counter[str]] = defaultdict(Counter)
    for message in api.pages(f"/mailings/{mailing_id}/messages"):
        by_zone[zones.get(message["client_id"], "(client is gone)")][message["status"]] += 1
    columns = ("time zone", *STATUSES, "total")
    headers = [Column(name, no_wrap=True) for name in columns]
    table = Table(*headers, title=f"mailing {mailing_id}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for zone, counts in sorted(by_zone.items()):
        table.add_row(zone, *(str(counts[status]) for status in STATUSES), str(counts.total()))
    totals = Counter[str](statistics["messages"])
    table.add_section()
    table.add_row("all", *(str(totals[name]) for name in (*STATUSES, "total")), style="bold")
    console.print(table)
    return totals


if __name__ == "__main__":
    sys.exit(main())
