"""Count the messages of all mailings that ended long ago, so that nobody has to whenever the figures are read."""

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.figures import ENDED_WITHIN, Rest
from chalicelib.domain.mailing import ENDED, Mailing
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, CounterRepository, FigureRepository, MailingRepository
from chalicelib.services.read_figures import PARALLEL_READS, by_status

logger = logging.getLogger(__name__)

PAGE = 500


@dataclass(frozen=True, slots=True)
class CountRest:
    """The night's count. A mailing that is retried or deleted by day stays in it until the next night."""

    mailings: MailingRepository
    counters: CounterRepository
    figures: FigureRepository
    clock: Clock

    def __call__(self, stop_at: datetime) -> None:
        """Count until `stop_at` and store it; else, or if something cannot be read, the last count stands."""
        before = self.clock() - ENDED_WITHIN
        total: Counter[str] = Counter()
        after = None
        try:
            while True:
                page = self.mailings.page(None, after, PAGE)
                with ThreadPoolExecutor(PARALLEL_READS) as pool:
                    counted = pool.map(self.counters.totals, [one.id for one in page.items if _is_rest(one, before)])
                    for each in counted:
                        total.update(by_status(each.counts))
                after = page.next
                if after is None:
                    break
                if self.clock() >= stop_at:
                    logger.warning("mailings of long ago not counted: the time was over")
                    return
            self.figures.save_rest(Rest(before, by_status(total)))
        except TransientError as error:
            logger.warning("mailings of long ago not counted", extra={"error": str(error)})


def _is_rest(mailing: Mailing, before: datetime) -> bool:
    return mailing.status in ENDED and (mailing.finished_at or mailing.updated_at) < before
