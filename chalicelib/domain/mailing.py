"""Mailings: what is sent, to whom, from when until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow

MAX_DURATION = timedelta(days=30)
ROWS_KEPT_AFTER_END = timedelta(days=30)


class MailingStatus(StrEnum):
    """Where a mailing is. `deleted` is never shown: to its users such a mailing is gone."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class OnUncertain(StrEnum):
    """What becomes of a message of which nobody knows whether the provider took it."""

    RETRY = "retry"
    HOLD = "hold"


NOT_STARTED = frozenset({MailingStatus.DRAFT, MailingStatus.SCHEDULED})
STOPPED = frozenset({MailingStatus.CANCELLED, MailingStatus.DELETED})
STARTED = frozenset({MailingStatus.RUNNING, MailingStatus.PAUSED})
ENDED = frozenset({MailingStatus.FINISHED, MailingStatus.CANCELLED, MailingStatus.DELETED})
CHANGEABLE_WHILE_RUNNING = frozenset({"text", "end_at", "window", "on_uncertain"})


@dataclass(frozen=True, slots=True)
class Mailing:
    """One mailing.

    `version` grows by one with each change. `segments` (how many), `message_shards` (over how many partitions
    its messages are listed) and `express` are fixed when it starts, `planned_at` when each client of its
    audience has a row. `sweep` is the version of the latest change that its rows have to follow, 0 if there was none.
    `test_of` is the mailing whose text it shows to one client; a mailing that is such a test is in no list or total.
    `correlation_id` is of the API call that last changed it, and with that set going what functions do for it.
    """

    id: str
    start_at: datetime
    end_at: datetime
    text: str
    filter: AudienceFilter
    window: LocalWindow | None
    on_uncertain: OnUncertain
    status: MailingStatus
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    started_at: datetime | None = None
    planned_at: datetime | None = None
    segments: int = 0
    message_shards: int = 1
    express: bool = False
    sweep: int = 0
    version: int = 1
    test_of: str | None = None
    correlation_id: str | None = None

    @property
    def message_parts(self) -> tuple[str, ...]:
        """The partitions of the index in which its messages are listed."""
        return tuple(map(self._part, range(self.message_shards)))

    def part_of(self, message_id: int) -> str:
        """The partition in which a message is listed."""
        return self._part(message_id % self.message_shards)

    def _part(self, shard: int) -> str:
        return f"{self.id}#{shard:02d}"

    @property
    def late_seconds(self) -> float | None:
        """How long after it was due and known it started, to a tenth of a second; None until it has started."""
        if self.started_at is None:
            return None
        return round((self.started_at - max(self.start_at, self.created_at)).total_seconds(), 1)

    @property
    def ended_at(self) -> datetime | None:
        """When it was finished or cancelled; None before that, and of one that was deleted."""
        return self.updated_at if self.status is MailingStatus.CANCELLED else self.finished_at

    @property
    def rows_expire_at(self) -> datetime:
        """When rows that ended may be dropped: 30 days after the latest end that this mailing can have."""
        return self.start_at + MAX_DURATION + ROWS_KEPT_AFTER_END
