"""The yardstick: the same requests from a bare loop of pooled `requests` posts, that keeps no books at all."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier

import requests
from requests.adapters import HTTPAdapter

from tests.bench.bench_stack import PROVIDER_TOKEN
from tests.bench.figures import rate_between
from tests.running_stack import RunningStack

PROCESSES = 2
THREADS = 32
TIMEOUT_SECONDS = 60
DEADLINE_SECONDS = 600
_TEXT = "Hello"


def bare_rate(stack: RunningStack, number: int) -> float:
    """Make so many requests to the stack's provider; return how many a second, from the first to the last.

    Its processes begin together, each with all its connections open: the best that such a loop can do.

    Raises:
        BrokenBarrierError: a process did not get as far as to begin; its standard error says why.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES + 1)
    loops = [
        context.Process(target=_loop, args=(stack.info.provider_url, range(first, number, PROCESSES), barrier))
        for first in range(PROCESSES)
    ]
    try:
        for loop in loops:
            loop.start()
        barrier.wait(TIMEOUT_SECONDS)  # they are warm
        stack.forget_received()
        barrier.wait(TIMEOUT_SECONDS)  # and off they go
        for loop in loops:
            loop.join(DEADLINE_SECONDS)
    finally:
        for loop in loops:
            if loop.is_alive():
                loop.kill()
    received = stack.received(limit=0)
    stack.forget_received()
    assert [loop.exitcode for loop in loops] == [0] * PROCESSES, "the bare loop failed"
    assert received["accepted_unique"] == number, received
    return rate_between(number, received["first_at"], received["last_at"])


def _loop(provider_url: str, ids: Sequence[int], barrier: Barrier) -> None:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {PROVIDER_TOKEN}"
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))

    def post(message_id: int) -> None:
        body = {"id": message_id, "phone": 79_000_000_000 + message_id, "text": _TEXT}
        answer = session.post(f"{provider_url}/v1/send/{message_id}", json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        assert answer.json()["code"] == 0, answer.text

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            list(pool.map(post, range(THREADS)))
        except BaseException:
            barrier.abort()  # nobody need wait for this process
            raise
        barrier.wait(TIMEOUT_SECONDS)
        barrier.wait(TIMEOUT_SECONDS)
        list(pool.map(post, ids))
