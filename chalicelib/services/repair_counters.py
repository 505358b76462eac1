"""Set the counters of a mailing right, as its rows say."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.errors import StaleError
from chalicelib.ports import CounterRepository
from chalicelib.services.check_drift import CheckDrift, DriftReport, Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair found, and what a recount said afterwards: None if there was nothing to repair, or no certainty."""

    found: DriftReport
    after: DriftReport | None = None


@dataclass(frozen=True, slots=True)
class RepairCounters:
    """Adds what is missing in one write. Whoever counts meanwhile counts on: a drift stays the same under all of it.

    Killed before the write, nothing has happened; killed after it, the next one finds nothing to do.
    """

    check: CheckDrift
    counters: CounterRepository

    def __call__(self, mailing_id: str, stop_at: datetime) -> Repair:
        """Repair the counters if they are certain to drift, and recount.

        Raises:
            NotFoundError: there is no such mailing, or it was deleted.
        """
        found = self.check(mailing_id, stop_at)
        if found.verdict is not Verdict.DRIFT:
            return Repair(found)
        changes = {name: -difference for name, difference in found.differences.items()}
        try:
            self.counters.adjust(mailing_id, changes, found.repairs)
        except StaleError as error:
            return Repair(replace(found, verdict=Verdict.BUSY, detail=str(error)))
        logger.warning("counters repaired", extra={"mailing_id": mailing_id, "changes": changes})
        return Repair(found, self.check(mailing_id, stop_at))
