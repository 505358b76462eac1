"""Recount every mailing that has changed of late, and say so where counters drift."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.figures import DriftCheck
from chalicelib.domain.mailing import STARTED, Mailing, MailingStatus
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.ports import Clock, FigureRepository, MailingRepository
from chalicelib.services.check_drift import CheckDrift, DriftReport, Verdict

logger = logging.getLogger(__name__)

CHANGED_WITHIN = timedelta(hours=25)  # a day, and an hour in which two nights overlap
PAGE = 100
_LOOKED_AT = (*sorted(STARTED), MailingStatus.FINISHED, MailingStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class CheckChanged:
    """The nightly check: every mailing that runs, is paused, or has finished, was cancelled or changed since yesterday.

    Deleted mailings are left out: nobody is shown their counters.
    """

    mailings: MailingRepository
    check: CheckDrift
    clock: Clock
    count: Callable[[str, int], None]
    figures: FigureRepository

    def __call__(self, stop_at: datetime) -> Mapping[Verdict, int]:
        """Recount until `stop_at`, small mailings first; returns how many have each verdict.

        What is left by then is logged as not checked. Drift is counted as the metric `CounterDrift`, by how much all
        counters of the mailing are off.
        """
        verdicts, drift = Counter(dict.fromkeys(Verdict, 0)), 0
        changed = {mailing.id: mailing for status in _LOOKED_AT for mailing in self._changed(status)}
        for mailing in sorted(changed.values(), key=lambda mailing: (not mailing.express, mailing.id)):
            report = self._check(mailing, stop_at)
            if report is not None:
                verdicts[report.verdict] += 1
                drift += sum(map(abs, report.differences.values()))
                self._tell(report)
        logger.info("counters checked", extra={verdict.value: verdicts[verdict] for verdict in Verdict})
        self._keep(DriftCheck(self.clock(), drift, {verdict.value: verdicts[verdict] for verdict in Verdict}))
        return verdicts

    def _keep(self, found: DriftCheck) -> None:
        try:
            self.figures.save_drift(found)
        except TransientError as error:
            logger.warning("result of the check not kept", extra={"error": str(error)})

    def _changed(self, status: MailingStatus) -> Iterator[Mailing]:
        now, after = self.clock(), None
        while True:
            page = self.mailings.page(status, after, PAGE)
            for mailing in page.items:
                if mailing.rows_expire_at <= now:
                    return  # the latest start comes first: the others have no rows any more, either
                if status in STARTED or mailing.updated_at >= now - CHANGED_WITHIN:
                    yield mailing
            after = page.next
            if after is None:
                return

    def _check(self, mailing: Mailing, stop_at: datetime) -> DriftReport | None:
        """Recount a mailing; None if it was deleted meanwhile."""
        if self.clock() >= stop_at:
            return DriftReport(mailing.id, Verdict.UNCHECKED, "the time was over before its turn came")
        try:
            return self.check(mailing.id, stop_at)
        except NotFoundError:
            return None
        except TransientError as error:
            return DriftReport(mailing.id, Verdict.UNCHECKED, str(error))

    def _tell(self, report: DriftReport) -> None:
        ids = {"mailing_id": report.mailing_id}
        if report.verdict is Verdict.DRIFT:
            logger.error("counters drift", extra=ids | {"differences": report.differences})
            self.count("CounterDrift", sum(map(abs, report.differences.values())))
        elif report.verdict is not Verdict.RIGHT:
            logger.warning("counters not checked", extra=ids | {"verdict": report.verdict, "detail": report.detail})
