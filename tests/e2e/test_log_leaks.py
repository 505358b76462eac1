"""The search of all logs that ends each stack's life (conftest.py): it finds what is planted, wherever that stands."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.steps import create_mailing, load_clients
from tests.log_leaks import Confidential, leaks_of
from tests.running_stack import RunningStack

TEXT = "A planted text that is nobody else's business"
PLANTS: dict[str, Callable[[Confidential], str]] = {
    "a secret": lambda known: max(known.secrets, key=len),
    "a text": lambda _: TEXT,
    "a phone": lambda known: min(known.phones),
}


@pytest.fixture
def plant(stack: RunningStack) -> Iterator[Callable[[str], None]]:
    """Have the sender log a line, until the test is over."""
    logs, name = stack.client("logs"), f"planted-{uuid4()}"
    place = {"logGroupName": f"/aws/lambda/{stack.info.stack_name}-sender", "logStreamName": name}
    logs.create_log_stream(**place)
    yield lambda line: logs.put_log_events(**place, logEvents=[{"timestamp": int(time.time() * 1000), "message": line}])
    logs.delete_log_stream(**place)


@pytest.mark.parametrize("what", PLANTS)
def test_a_leak_in_a_function_s_log_is_found(stack: RunningStack, plant: Callable[[str], None], what: str) -> None:
    load_clients(stack, 1, "leaks")
    create_mailing(stack, "nobody", text=TEXT)
    secret = PLANTS[what](Confidential.of(stack))
    plant(f'{{"message": "careless", "said": "{secret}"}}')

    (leak,) = leaks_of(stack)

    # The longest secret is a token, and masked as the secret that it is.
    assert leak == f'{what} in {stack.info.stack_name}-sender: {{"message": "careless", "said": "*****"}}'


def test_a_leak_in_the_log_of_a_local_program_is_found(stack: RunningStack) -> None:
    file = Path(stack.embedded.folder, "careless.log")
    file.write_text(f"Bearer {stack.token}\n")
    try:
        assert leaks_of(stack) == ["a secret in careless.log: Bearer *****"]
    finally:
        file.unlink()


def test_nothing_has_leaked_so_far(stack: RunningStack) -> None:
    assert leaks_of(stack) == []
