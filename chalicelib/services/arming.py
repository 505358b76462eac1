"""Arm a mailing: have it started at its time, or at once if that has passed."""

import logging
from datetime import datetime

from chalicelib.domain.mailing import Mailing
from chalicelib.errors import TransientError
from chalicelib.ports import Scheduler

logger = logging.getLogger(__name__)


def arm(scheduler: Scheduler, mailing: Mailing, now: datetime) -> None:
    """Have a scheduled mailing started. If that does not work, the dispatcher starts it when it is due."""
    try:
        if mailing.start_at <= now:
            scheduler.start_now(mailing.id)
        else:
            scheduler.put(mailing)
    except TransientError as error:
        logger.warning("mailing not armed", extra={"mailing_id": mailing.id, "error": str(error)})


def disarm(scheduler: Scheduler, mailing_id: str) -> None:
    """Take a mailing's schedule away. If that does not work, the planner finds that it is not to be started."""
    try:
        scheduler.remove(mailing_id)
    except TransientError as error:
        logger.warning("schedule not removed", extra={"mailing_id": mailing_id, "error": str(error)})
