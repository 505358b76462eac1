"""Say what lies in the dead-letter queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.ports import Clock, DeadLetters
from chalicelib.services.hold_letters import hold_letters

LOOK_FOR = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ListDeadLetters:
    """Shows letters and leaves them where they are: whoever looks next sees the same."""

    dead_letters: DeadLetters
    clock: Clock

    def __call__(self, queues: Sequence[DeadQueue], limit: int) -> Sequence[DeadLetter]:
        """List at most so many letters of these queues, oldest first; of more, SQS chooses which."""
        until = self.clock() + LOOK_FOR
        with hold_letters(self.dead_letters, queues, self.clock, until=until, at_most=limit) as held:
            return sorted(held.letters.values(), key=lambda letter: (letter.sent_at, letter.id))[:limit]
