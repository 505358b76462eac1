from collections.abc import Callable, Iterator
from itertools import count

import pytest

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.running_stack import RunningStack

StartStack = Callable[..., RunningStack]


@pytest.fixture(scope="session")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Start a stack of one's own: `start_stack(settings={"MAX_ATTEMPTS": "3"}, parameters={...})`.

    The keywords are fields of StackOptions. The stack ends with the session, or by its `close()`.
    """
    started: list[RunningStack] = []
    numbers = count(1)

    def start(**options: object) -> RunningStack:
        folder = tmp_path_factory.mktemp(f"stack-{next(numbers)}")
        embedded = EmbeddedStack(StackOptions(folder=folder, port=free_port(), **options))  # type: ignore[arg-type]
        running = RunningStack(embedded, embedded.up())
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="session")
def stack(start_stack: StartStack) -> RunningStack:
    """The stack that tests share, with each function held to its own role's permissions."""
    return start_stack(emulator={"AUTH": "true"})
