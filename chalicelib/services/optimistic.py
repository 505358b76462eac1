from collections.abc import Callable
from typing import TypeVar

from chalicelib.errors import StaleError

Result = TypeVar("Result")
TRIES = 4


def optimistically(change: Callable[[], Result]) -> Result:
    """Read, change and write something, from the start again when somebody else has written in between.

    Args:
        change: does all of it; raises `StaleError` if what it read is not what it would write over.

    Raises:
        StaleError: others were faster four times.
    """
    for _ in range(TRIES - 1):
        try:
            return change()
        except StaleError:
            continue
    return change()
