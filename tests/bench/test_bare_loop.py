from collections.abc import Iterator
from pathlib import Path
from threading import BrokenBarrierError

import pytest

from embedded import EmbeddedStack, StackInfo, StackOptions
from tests.bench.bare_loop import PROCESSES, THREADS, bare_rate
from tests.bench.bench_stack import PROVIDER_TOKEN
from tests.running_stack import RunningStack
from tests.simulator import start_simulator

NUMBER = 500


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack of which nothing runs but the provider."""
    with start_simulator("--token", PROVIDER_TOKEN) as simulator:
        info = StackInfo(
            api_url="",
            docs_url=None,
            admin_url=None,
            metrics_url=None,
            token="",
            provider_url=simulator.url,
            issuer_url="",
            aws_endpoint_url="",
            region="",
            stack_name="",
        )
        running = RunningStack(EmbeddedStack(StackOptions(folder=tmp_path / "none"), say=lambda _: None), info)
        yield running
        running.close()


class Watched(RunningStack):
    """Remembers what the provider had received before it was told to forget it."""

    seen: list[dict[str, int]]

    def forget_received(self) -> None:
        self.seen.append(self.received(limit=0))
        super().forget_received()


def test_the_loop_asks_for_each_message_once_on_connections_opened_before(stack: RunningStack) -> None:
    watched = Watched(stack.embedded, stack.info)
    watched.seen = []
    watched.control(latency_ms=5)
    assert bare_rate(watched, NUMBER) > 0
    warm_up, measured = watched.seen
    assert warm_up["requests"] == PROCESSES * THREADS
    assert (measured["requests"], measured["accepted_unique"]) == (NUMBER, NUMBER)
    assert watched.received()["requests"] == 0


def test_the_loop_says_that_its_provider_is_not_well(stack: RunningStack) -> None:
    stack.control(status=500)
    with pytest.raises(BrokenBarrierError):
        bare_rate(stack, NUMBER)
