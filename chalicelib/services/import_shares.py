"""Store what a batch of an import brings: side by side, and again what somebody else was faster at."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from chalicelib.errors import TransientError
from chalicelib.services.optimistic import TRIES

Element = TypeVar("Element")

SHARES = 8  # of a batch


def store_in_shares(
    executor: Executor, store: Callable[[int, Sequence[Element]], Sequence[Element]], batch: Sequence[Element]
) -> None:
    """Store a batch in eight shares, at the same time.

    Args:
        executor: runs them.
        store: given the number of a share and what is in it, reads, changes and writes that; returns what it did
            not store because somebody else has written in between.
        batch: no two elements of it concern the same thing.

    Raises:
        TransientError: others were faster four times, or what `store` raised; not all of it is stored.
    """
    shares = [batch[start::SHARES] for start in range(SHARES)]
    for _ in executor.map(partial(_store, store), range(SHARES), shares):
        pass  # raises what a share raised


def _store(
    store: Callable[[int, Sequence[Element]], Sequence[Element]], number: int, pending: Sequence[Element]
) -> None:
    for _ in range(TRIES):
        pending = store(number, pending)
        if not pending:
            return
    raise TransientError("others kept changing what an import changes")
