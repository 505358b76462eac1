"""Send the report of a day by e-mail: once, when it is due; and whenever it is asked for by hand."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Literal

from chalicelib.domain.report_day import ReportDay, due
from chalicelib.errors import RefusedMailError, TransientError
from chalicelib.ports import Clock, Mail, Mailer, ReportClaims
from chalicelib.services.gather_report import GatherReport, Report

logger = logging.getLogger(__name__)

# How long a claim outlives the time of whoever has it, which then is dead: below the minute after which Lambda tries
# again.
MARGIN = timedelta(seconds=5)
_TO_SEND = timedelta(seconds=15)  # kept of the time, for writing the mail and handing it over

Asked = Literal["yesterday", "today"]


class Outcome(StrEnum):
    """What came of a call."""

    SENT = "sent"
    NOT_DUE = "not due"
    CLAIMED = "sent before, or being sent"
    NO_RECIPIENTS = "no recipients"


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """To whom the report goes, and when: from `hour` on, by the clock of `zone`."""

    sender: str
    recipients: Sequence[str]
    zone: tzinfo
    hour: int


@dataclass(frozen=True, slots=True)
class Content:
    """The report in words."""

    language: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class SendReport:
    """The use case of whoever reads the report in the morning. `plan` is None where there are no recipients.

    Killed before the mail service has the mail: it is sent as soon as the claim is over, by whoever is called next.
    Killed between the mail service's answer and the record of it, or the answer lost: then it is sent again, the one
    way in which it comes twice.
    """

    plan: ReportPlan | None
    gather: GatherReport
    write: Callable[[Report], Content]
    mailer: Mailer
    claims: ReportClaims
    clock: Clock
    new_id: Callable[[], str]

    def when_due(self, stop_at: datetime) -> Outcome:
        """Send yesterday's report if its time has come and nobody else has sent it or is about to.

        Raises:
            RefusedMailError: the mail service does not take it.
            TransientError: something did not answer; perhaps the mail is on its way.
        """
        if self.plan is None:
            return Outcome.NO_RECIPIENTS
        now, owner = self.clock(), self.new_id()
        day = due(now, self.plan.zone, self.plan.hour)
        if day is None:
            return Outcome.NOT_DUE
        if not self.claims.claim(day.local_date, owner, now=now, until=stop_at + MARGIN):
            return Outcome.CLAIMED
        try:
            self._send(self.plan, day, stop_at)
        except RefusedMailError:
            self._give_back(day, owner)
            raise
        self.claims.record_sent(day.local_date, self.clock())
        return Outcome.SENT

    def now(self, asked: Asked, stop_at: datetime) -> Outcome:
        """Send a report at once, whether it was sent before or not, and without a record of it. Raises as above."""
        if self.plan is None:
            return Outcome.NO_RECIPIENTS
        today = ReportDay.at(self.clock(), self.plan.zone)
        self._send(self.plan, today if asked == "today" else today.before, stop_at)
        return Outcome.SENT

    def _send(self, plan: ReportPlan, day: ReportDay, stop_at: datetime) -> None:
        content = self.write(self.gather(day, stop_at - _TO_SEND))
        self.mailer.send(
            Mail(plan.sender, plan.recipients, content.subject, content.text, content.html, content.language)
        )
        logger.info("report sent", extra={"day": day.local_date.isoformat(), "recipients": len(plan.recipients)})

    def _give_back(self, day: ReportDay, owner: str) -> None:
        try:
            self.claims.give_back(day.local_date, owner)
        except TransientError as error:
            logger.warning("report's claim not given back", extra={"error": str(error)})
