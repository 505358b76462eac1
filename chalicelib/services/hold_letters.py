"""Look into dead-letter queues: SQS cannot list, so letters are received, held for a while, and given back."""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, DeadLetters

logger = logging.getLogger(__name__)

HOLD = timedelta(seconds=40)  # above the API function's timeout: killed, it hides nothing for longer


@dataclass(frozen=True, slots=True)
class Held:
    """Letters that nobody else sees meanwhile; those that are still in `letters` at the end are given back.

    Attributes:
        letters: by id. Standard queues may deliver a letter twice; the last receipt counts.
        seen_through: whether a queue has been looked through to its end.
    """

    letters: dict[str, DeadLetter]
    seen_through: dict[DeadQueue, bool]


@contextmanager
def hold_letters(
    dead_letters: DeadLetters,
    queues: Sequence[DeadQueue],
    clock: Clock,
    *,
    until: datetime,
    at_most: int,
    wanted: Collection[str] | None = None,
) -> Iterator[Held]:
    """Hold the letters of these queues while the block runs.

    Args:
        dead_letters: where they lie.
        queues: which are looked into, all at once: the end of each takes a second to see.
        clock: tells the time.
        until: when no more are received.
        at_most: letters of each queue, give or take one answer of SQS.
        wanted: ids; once all are held, no more are received.

    Raises:
        TransientError: a queue does not answer; what was received of the others is given back.
    """
    held = Held({}, {})

    def look_into(queue: DeadQueue) -> None:
        held.seen_through[queue] = False
        received = 0
        while clock() < until and received < at_most and not _all_there(wanted, held):
            letters = dead_letters.receive(queue, HOLD)
            if not letters:
                held.seen_through[queue] = True
                break
            held.letters.update((letter.id, letter) for letter in letters)
            received += len(letters)

    try:
        with ThreadPoolExecutor(len(queues)) as pool:
            list(pool.map(look_into, queues))
        yield held
    finally:
        _give_back(dead_letters, list(held.letters.values()))


def _all_there(wanted: Collection[str] | None, held: Held) -> bool:
    return wanted is not None and all(id_ in held.letters for id_ in wanted)


def _give_back(dead_letters: DeadLetters, letters: Sequence[DeadLetter]) -> None:
    try:
        dead_letters.give_back(letters)
    except TransientError as error:
        seconds = HOLD.total_seconds()
        logger.warning(
            "letters not given back; they show themselves again", extra={"after_seconds": seconds, "error": str(error)}
        )
