"""Settle what was sent after the moment to which tables were restored, by what senders logged."""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.delivery import planned
from chalicelib.domain.logged_request import SEARCHES, LoggedRequest
from chalicelib.domain.mailing import STOPPED, Mailing
from chalicelib.domain.message import Message
from chalicelib.ports import Clock, FunctionLogs, MailingRepository, MessageRepository, NewId
from chalicelib.services.finish_mailing import FinishMailing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was settled.

    Attributes:
        requests: how many lines tell of a request after which nothing may be sent.
        settled: by mailing, how many rows have followed.
        unknown: by mailing, how many requests there were of mailings that are not there any more.
    """

    requests: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SettleFromLog:
    """Records for each request that was accepted, or may have been, what its sender has recorded once.

    Rows change with their counters as in a sender's hands. Running it again changes nothing more; killed anywhere, it
    is run again. A row that is missing is made: its mailing was not planned at the moment of the restore, and will
    find the row when it is. Nothing may be sent meanwhile.
    """

    logs: FunctionLogs
    mailings: MailingRepository
    messages: MessageRepository
    finish: FinishMailing
    clock: Clock
    new_version: NewId
    queued_grace: timedelta

    def __call__(self, since: datetime) -> Settlement:
        """Read the senders' log from this moment on.

        Raises:
            NotFoundError: the senders have no log.
            TransientError: log or tables did not answer; what was settled by then stays so.
        """
        requests, settled, unknown = 0, Counter[str](), Counter[str]()
        for terms in SEARCHES:
            for lines in self.logs.pages("sender", terms, since):
                by_mailing: dict[str, dict[int, LoggedRequest]] = defaultdict(dict)
                for request in filter(None, map(LoggedRequest.read, lines)):
                    by_mailing[request.mailing_id][request.message_id] = request
                    requests += 1
                for mailing_id, those in by_mailing.items():
                    mailing = self.mailings.get(mailing_id)
                    if mailing is None:
                        unknown[mailing_id] += len(those)
                    else:
                        settled[mailing_id] += self._settle(mailing, list(those.values()))
        for mailing_id in (settled := +settled):
            self.finish(mailing_id)
            logger.info("mailing settled", extra={"mailing_id": mailing_id, "messages": settled[mailing_id]})
        return Settlement(requests, settled, unknown)

    def _settle(self, mailing: Mailing, requests: Sequence[LoggedRequest]) -> int:
        rows = dict(self.messages.get_many([request.message_id for request in requests]))
        if mailing.status not in STOPPED:
            missing = [self._row(mailing, request) for request in requests if request.message_id not in rows]
            rows |= {row.id: row for row in self.messages.plan(mailing, missing)}
        outcomes = (request.outcome(row, mailing) for request in requests if (row := rows.get(request.message_id)))
        return len(self.messages.record(mailing.id, [outcome for outcome in outcomes if outcome]))

    def _row(self, mailing: Mailing, request: LoggedRequest) -> Message:
        row = planned(mailing, request.client_id, self.new_version(), self.clock(), self.queued_grace)
        return replace(row, id=request.message_id, mailing_shard=mailing.part_of(request.message_id))
