from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.emulated_roles import allow_in_other_words
from tests.log_leaks import leaks_of
from tests.running_stack import RunningStack

StartStack = Callable[..., RunningStack]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test that uses a stack run twice: on Lambdas and on the host, but those of Lambda alone."""
    if "on_host" in metafunc.fixturenames:
        grounds = [False] if metafunc.definition.get_closest_marker("of_lambda") else [False, True]
        ids = {False: "lambdas", True: "host"}
        metafunc.parametrize("on_host", grounds, ids=ids.get, indirect=True, scope="session")


@contextmanager
def starter(folders: pytest.TempPathFactory, *, on_host: bool = False) -> Iterator[StartStack]:
    """Hand out what starts stacks; at the end all are stopped, and their logs searched for what none may have."""
    started: list[RunningStack] = []
    leaks: list[str] = []

    def start(*, host: bool = on_host, **options: object) -> RunningStack:
        folder = folders.mktemp("stack")
        embedded = EmbeddedStack(StackOptions(folder=folder, port=free_port(), host=host, **options))  # type: ignore[arg-type]
        running = RunningStack(embedded, embedded.up(), at_the_end=lambda stack: leaks.extend(leaks_of(stack)))
        started.append(running)
        if options.get("emulator") == {"AUTH": "true"}:
            allow_in_other_words(running.client("iam"), running.info.stack_name)
        return running

    yield start
    for running in started:
        running.close()
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="session")
def on_host(request: pytest.FixtureRequest) -> bool:
    """Tell whether the functions' work is done by the host (infra/host) and not by Lambdas."""
    return bool(getattr(request, "param", False))


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory, *, on_host: bool) -> Iterator[StartStack]:
    """Start a stack of one's own: `start_stack(settings={"MAX_ATTEMPTS": "3"}, parameters={...})`.

    The keywords are fields of StackOptions. The stack ends with the module, or by its `close()`: one that idles takes
    time from others.
    """
    with starter(tmp_path_factory, on_host=on_host) as start:
        yield start


@pytest.fixture(scope="session")
def shared_stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], RunningStack]]:
    """Start the shared stack of Lambdas, or that of the host, when it is first asked for."""
    with starter(tmp_path_factory) as start:
        yield cache(lambda host: start(host=host, emulator={"AUTH": "true"}))


@pytest.fixture(scope="session")
def stack(shared_stacks: Callable[[bool], RunningStack], *, on_host: bool) -> RunningStack:
    """The stack that tests share, each function held to what its own role allows."""
    return shared_stacks(on_host)
