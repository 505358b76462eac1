"""Put dead letters back to where they came from: the checks of their handlers judge them again."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket, StartEvent
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, DeadLetters, Scheduler, TicketQueue
from chalicelib.services.audit_trail import did
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.hold_letters import Held, hold_letters

logger = logging.getLogger(__name__)

LOOK_FOR = timedelta(seconds=10)
RUN = timedelta(seconds=20)  # of the API function's 29 s; the rest is for giving back
MAX_LETTERS = 1000  # of each queue in one run


class LeftBecause(StrEnum):
    """Why a letter was not redriven."""

    NOT_FOUND = "not_found"  # asked for by its id, and not seen
    NOT_TAKEN = "not_taken"  # the queue or the planner did not take it, or it could not be deleted
    NO_MAILING = "no_mailing"  # an event of a schedule that names none: nobody could start it
    NO_TIME = "no_time"  # held, but the run was over
    NOT_LOOKED_AT = "not_looked_at"  # not even received; an approximate number


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many letters were put back, and how many of those asked for were left, by reason."""

    redriven: int
    left: Counter[LeftBecause]


@dataclass(frozen=True, slots=True)
class RedriveDeadLetters:
    """Sends each letter on, and then deletes it.

    Killed in between, the letter is there still and its ticket comes twice, which changes nothing: tickets are hints.
    All letters are held before the first is sent on, so one that comes back at once, for it cannot be read, is not met
    again in the same run.
    """

    dead_letters: DeadLetters
    cached_mailings: CachedMailings
    tickets: TicketQueue
    scheduler: Scheduler
    clock: Clock

    def __call__(self, queues: Sequence[DeadQueue], ids: Collection[str] | None) -> Redriven:
        """Redrive what lies in these queues, or of it what has these ids. Repeating it is harmless."""
        started = self.clock()
        until = started + LOOK_FOR
        with hold_letters(self.dead_letters, queues, self.clock, until=until, at_most=MAX_LETTERS, wanted=ids) as held:
            missing = self._missing(held, ids)
            asked = [letter for letter in held.letters.values() if ids is None or letter.id in ids]
            redriven = 0
            for letter in asked:
                reason = self._redrive(letter) if self.clock() < started + RUN else LeftBecause.NO_TIME
                if reason:
                    missing[reason] += 1
                else:
                    del held.letters[letter.id]
                    redriven += 1
        target = next(iter(ids)) if ids is not None and len(ids) == 1 else ", ".join(queues)
        did(target, redriven=redriven, **{f"left {reason}": number for reason, number in missing.items() if number})
        return Redriven(redriven, missing)

    def _missing(self, held: Held, ids: Collection[str] | None) -> Counter[LeftBecause]:
        if ids is not None:
            return Counter({LeftBecause.NOT_FOUND: len(set(ids) - held.letters.keys())})
        unseen = [queue for queue, through in held.seen_through.items() if not through]
        return Counter({LeftBecause.NOT_LOOKED_AT: sum(map(self.dead_letters.waiting, unseen))})

    def _redrive(self, letter: DeadLetter) -> LeftBecause | None:
        """Redrive a letter; says why not, or None."""
        about = letter.ids
        extra = {
            "sqs_message_id": letter.id,
            "queue": letter.queue,
            "mailing_id": about.mailing_id,
            "message_ids": list(about.message_ids),
            "segment": about.segment,
        }
        try:
            if not self._send_on(letter):
                return LeftBecause.NO_MAILING
            self.dead_letters.delete(letter)
        except TransientError as error:
            logger.warning("dead letter not redriven", extra=extra | {"error": str(error)})
            return LeftBecause.NOT_TAKEN
        logger.info("dead letter redriven", extra=extra)
        return None

    def _send_on(self, letter: DeadLetter) -> bool:
        match letter.content:
            case StartEvent(mailing_id=mailing_id):
                self.scheduler.start_now(mailing_id)
            case SegmentTicket(mailing_id=mailing_id, segment=segment):
                self.tickets.send_segments(mailing_id, [segment])
            case MessagesTicket() as ticket if mailing := self.cached_mailings.get(ticket.mailing_id):
                self.tickets.send_messages(mailing, [(ticket.message_ids, timedelta())])
            case _ if letter.queue is DeadQueue.SCHEDULE:
                return False
            case _:
                self.dead_letters.put_back(letter)
        return True
