from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.emulated_roles import allow_in_other_words
from tests.log_leaks import leaks_of
from tests.running_stack import RunningStack

StartStack = Callable[..., RunningStack]


@contextmanager
def starter(folders: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Hand out what starts stacks; at the end all are stopped, and their logs searched for what none may have."""
    started: list[RunningStack] = []
    leaks: list[str] = []

    def start(**options: object) -> RunningStack:
        folder = folders.mktemp("stack")
        embedded = EmbeddedStack(StackOptions(folder=folder, port=free_port(), **options))  # type: ignore[arg-type]
        running = RunningStack(embedded, embedded.up(), at_the_end=lambda stack: leaks.extend(leaks_of(stack)))
        started.append(running)
        if options.get("emulator") == {"AUTH": "true"}:
            allow_in_other_words(running.client("iam"), running.info.stack_name)
        return running

    yield start
    for running in started:
        running.close()
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Start a stack of one's own: `start_stack(settings={"MAX_ATTEMPTS": "3"}, parameters={...})`.

    The keywords are fields of StackOptions. The stack ends with the module, or by its `close()`: one that idles takes
    time from others.
    """
    with starter(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The stack that tests share, each function held to what its own role allows."""
    with starter(tmp_path_factory) as start:
        yield start(emulator={"AUTH": "true"})
