"""Start what is due: mailings whose schedule came late, or never."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.correlation import correlated
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, MailingRepository, Scheduler

logger = logging.getLogger(__name__)

MAX_STARTS = 100  # a call; the earliest first, so that the next call finds the rest


@dataclass(frozen=True, slots=True)
class StartDue:
    """The use case of the dispatcher's minute and of `POST /mailings/process`."""

    mailings: MailingRepository
    scheduler: Scheduler
    clock: Clock

    def __call__(self) -> Sequence[str]:
        """Have each scheduled mailing started whose time has come; returns the ids of those found.

        Idempotent: the planner opens a mailing once, however often it is called. Who cannot be reached now is
        found again by the next call.
        """
        due = self.mailings.starting_until(self.clock(), MAX_STARTS)
        for mailing in due:
            with correlated(mailing.correlation_id):
                logger.info("mailing is due", extra={"mailing_id": mailing.id})
                try:
                    self.scheduler.start_now(mailing.id)
                except TransientError as error:
                    logger.warning("mailing not started", extra={"mailing_id": mailing.id, "error": str(error)})
        return [mailing.id for mailing in due]
