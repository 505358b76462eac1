"""What each route of the API takes, on one connection, idle and beside large mailings; and POSTs at 8 connections."""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.bench_stack import REST, WARM, WARM_CLIENTS, warm_up
from tests.bench.figures import Distribution
from tests.e2e.steps import create_mailing, load_clients, phones
from tests.running_stack import RunningStack, poll

REQUESTS = 300
POSTS, CONNECTIONS = 800, 8


@dataclass(frozen=True, slots=True)
class RouteLatency:
    """What a route takes, milliseconds, as a client sees it."""

    route: str
    idle: Distribution
    busy: Distribution


@dataclass(frozen=True, slots=True)
class ApiLatency:
    """What the API takes.

    Attributes:
        routes: each on one connection, idle, and busy: beside mailings, one after the other.
        busy_rate: messages a second that went out meanwhile.
        posts_per_second: of POST /clients at 8 connections, idle.
    """

    routes: tuple[RouteLatency, ...]
    busy_rate: float
    posts_per_second: float


def api_latency(stack: RunningStack, clients: int, busy_seconds: float) -> ApiLatency:
    """Measure the API of a stack that has a crowd of so many clients; beside mailings for so long at most."""
    mailing_id = warm_up(stack)
    _time_routes(stack, lambda: mailing_id, cycles=5)  # warms the function and the connection up
    idle = _time_routes(stack, lambda: mailing_id)
    posts_per_second = _posts_per_second(stack)
    stack.forget_received()
    began = time.monotonic()
    with _mailings_on_their_way(stack, clients - WARM_CLIENTS) as running:
        busy = _time_routes(stack, running, seconds=busy_seconds)
        busy_rate = stack.received(limit=0)["accepted"] / (time.monotonic() - began)
    routes = [RouteLatency(route, Distribution.of(idle[route]), Distribution.of(busy[route])) for route in idle]
    return ApiLatency(tuple(routes), busy_rate, posts_per_second)


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """Calls routes on a connection of its own, and keeps the milliseconds that each call took, by route."""

    stack: RunningStack
    timings: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, route: str, body: object = None, **ids: object) -> Any:  # noqa: ANN401 - JSON
        method, _, path = route.partition(" ")
        began = time.perf_counter()
        answer = self.stack.request(method, path.format(**ids), body)
        self.timings[route].append((time.perf_counter() - began) * 1000)
        assert answer.ok, f"{route}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def _time_routes(
    stack: RunningStack, mailing: Callable[[], str], *, cycles: int = REQUESTS, seconds: float = math.inf
) -> dict[str, list[float]]:
    """Time each route once a cycle, so that all meet the same ups and downs. A cycle leaves nothing behind."""
    timed = _Stopwatch(RunningStack(stack.embedded, stack.info))
    message_id = _first_message(stack, mailing())
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    draft = {"start_at": tomorrow.isoformat(), "end_at": (tomorrow + timedelta(days=1)).isoformat(), "text": "Hello"}
    deadline = time.monotonic() + seconds
    for _ in range(cycles):
        watched = mailing()
        client_id = timed("POST /clients", {"phone": next(phones), "timezone": "Europe/Moscow"})["id"]
        timed("GET /clients/{id}", id=client_id)
        timed(f"GET /clients?tag={WARM}")
        draft_id = timed("POST /mailings", {**draft, "draft": True})["id"]
        timed("GET /mailings/{id}", id=watched)
        timed("GET /mailings/{id}/stats", id=watched)
        timed("GET /mailings/{id}/messages", id=watched)
        timed("GET /messages/{id}", id=message_id)
        timed("GET /messages/{id}/explain", id=message_id)
        timed("GET /stats")
        timed("GET /health")
        timed("DELETE /mailings/{id}", id=draft_id)
        timed("DELETE /clients/{id}", id=client_id)
        if time.monotonic() > deadline:
            break
    return timed.timings


def _first_message(stack: RunningStack, mailing_id: str) -> int:
    """Wait until a mailing has messages; returns the id of one."""
    page = poll(
        lambda: stack.request("GET", f"/mailings/{mailing_id}/messages").json()["items"],
        until=bool,
        deadline_seconds=60,
    )
    return int(page[0]["id"])


def _posts_per_second(stack: RunningStack) -> float:
    # The first starts as many API functions as there are connections.
    load_clients(stack, POSTS // 10, "posted", connections=CONNECTIONS)
    began = time.monotonic()
    load_clients(stack, POSTS, "posted", connections=CONNECTIONS)
    return POSTS / (time.monotonic() - began)


@contextmanager
def _mailings_on_their_way(stack: RunningStack, size: int) -> Iterator[Callable[[], str]]:
    """Send mailings of that size, one after the other, while the block runs; yields who tells the running one's id."""
    own = RunningStack(stack.embedded, stack.info)
    ids = [create_mailing(own, REST)]
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.05):
            if own.received(limit=0)["accepted_unique"] >= size * len(ids):
                ids.append(create_mailing(own, REST))

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        try:
            yield lambda: ids[-1]
        finally:
            stop.set()
        sending.result()
