"""Start, pause, resume, cancel and retry mailings: effective for each request that was not begun, at once."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.correlation import current_correlation_id
from chalicelib.domain.mailing import ENDED, NOT_STARTED, STARTED, Mailing, MailingStatus
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import ConflictError
from chalicelib.ports import Clock, MailingRepository, Scheduler
from chalicelib.services.arming import arm, disarm
from chalicelib.services.audit_trail import changed
from chalicelib.services.existing import existing_mailing
from chalicelib.services.optimistic import optimistically
from chalicelib.services.order_sweep import OrderSweep

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ControlMailings:
    """The controls of mailings. Senders know of a change within two seconds; rows follow by sweep.

    Each raises `NotFoundError` if there is no such mailing, and `ConflictError` if its state does not allow it.
    """

    mailings: MailingRepository
    scheduler: Scheduler
    sweep: OrderSweep
    clock: Clock

    def start(self, mailing_id: str) -> Mailing:
        """Take a mailing out of draft: it starts at its time, or at once if that has passed."""
        mailing = self._change(mailing_id, "started", {MailingStatus.DRAFT}, status=MailingStatus.SCHEDULED)
        arm(self.scheduler, mailing, self.clock())
        return mailing

    def hold(self, mailing_id: str) -> Mailing:
        """Take a scheduled mailing back to draft: it does not start until it is told to."""
        mailing = self._change(mailing_id, "held", {MailingStatus.SCHEDULED}, status=MailingStatus.DRAFT)
        disarm(self.scheduler, mailing_id)
        return mailing

    def pause(self, mailing_id: str) -> Mailing:
        """Begin no request any more until the mailing is resumed."""
        return self._change(
            mailing_id, "paused", {MailingStatus.RUNNING}, SegmentKind.FOLLOW, status=MailingStatus.PAUSED
        )

    def resume(self, mailing_id: str) -> Mailing:
        """Go on after a pause; what was sent is not sent again."""
        return self._change(
            mailing_id, "resumed", {MailingStatus.PAUSED}, SegmentKind.FOLLOW, status=MailingStatus.RUNNING
        )

    def cancel(self, mailing_id: str) -> Mailing:
        """Never begin a request again; open messages are cancelled."""
        allowed = {MailingStatus.DRAFT, MailingStatus.SCHEDULED, *STARTED}
        mailing = self._change(mailing_id, "cancelled", allowed, SegmentKind.FOLLOW, status=MailingStatus.CANCELLED)
        disarm(self.scheduler, mailing_id)
        return mailing

    def retry(self, mailing_id: str) -> Mailing:
        """Queue the failed messages again, and only those."""
        return self._change(
            mailing_id,
            "retried",
            {MailingStatus.RUNNING, MailingStatus.FINISHED},
            SegmentKind.RETRY,
            status=MailingStatus.RUNNING,
            planned_at=None,
            finished_at=None,
        )

    def _change(
        self,
        mailing_id: str,
        done: str,
        allowed: Collection[MailingStatus],
        sweep: SegmentKind | None = None,
        **changes: Any,  # noqa: ANN401 - fields of a mailing
    ) -> Mailing:
        def read_and_replace() -> Mailing:
            before = existing_mailing(self.mailings, mailing_id)
            now = self.clock()
            if before.status not in allowed:
                raise ConflictError(f"the mailing is {before.status} and cannot be {done}")
            if changes["status"] is not MailingStatus.CANCELLED and before.end_at <= now:
                late = f"the mailing is {before.status}, and its end_at has passed"
                if before.status in ENDED:
                    raise ConflictError(f"{late}: it cannot be {done}")
                raise ConflictError(f"{late}: with a later end_at it can be {done}")
            after = replace(
                before,
                **changes,
                updated_at=now,
                version=before.version + 1,
                correlation_id=current_correlation_id(),
            )
            if sweep and before.status not in NOT_STARTED:
                after = self.sweep(before, after, sweep)
            else:
                self.mailings.replace(before, after)
            changed(mailing_id, before, after)
            return after

        mailing = optimistically(read_and_replace)
        logger.info("mailing " + done, extra={"mailing_id": mailing_id})  # noqa: G003 - a constant of the caller
        return mailing
