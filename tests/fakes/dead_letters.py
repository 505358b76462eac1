from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.errors import TransientError
from chalicelib.ports import Clock


class FakeDeadLetters:
    """Dead-letter queues in memory (port: `DeadLetters`).

    Attributes:
        letters: what lies there, by id, hidden or not.
        put_backs: bodies that were sent to where they came from, oldest first.
    """

    PER_ANSWER = 10

    def __init__(self, clock: Clock) -> None:
        self.letters: dict[str, DeadLetter] = {}
        self.put_backs: list[tuple[DeadQueue, str]] = []
        self._hidden_until: dict[str, datetime] = {}
        self._clock = clock
        self._numbers = count(1)

    def add(self, queue: DeadQueue, body: str, noted: str | None = None, sent_at: datetime | None = None) -> str:
        """Lay a letter down; returns its id."""
        id_ = f"letter-{next(self._numbers):04d}"
        self.letters[id_] = DeadLetter(id_, queue, body, "", sent_at or self._clock(), noted)
        return id_

    def receive(self, queue: DeadQueue, hidden_for: timedelta) -> Sequence[DeadLetter]:
        now = self._clock()
        visible = [letter for letter in self.letters.values() if letter.queue is queue and self._is_visible(letter)]
        for letter in visible[: self.PER_ANSWER]:
            self._hidden_until[letter.id] = now + hidden_for
        return visible[: self.PER_ANSWER]

    def give_back(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self._check(letter)
            self._hidden_until.pop(letter.id, None)

    def put_back(self, letter: DeadLetter) -> None:
        self.put_backs.append((letter.queue, letter.body))

    def delete(self, letter: DeadLetter) -> None:
        self._check(letter)
        del self.letters[letter.id]

    def waiting(self, queue: DeadQueue) -> int:
        return sum(letter.queue is queue and self._is_visible(letter) for letter in self.letters.values())

    def _is_visible(self, letter: DeadLetter) -> bool:
        return self._hidden_until.get(letter.id, self._clock()) <= self._clock()

    def _check(self, letter: DeadLetter) -> None:
        if letter.id not in self.letters:
            raise TransientError("the receipt is of no letter")
