"""Mailings: created, read, listed, changed and deleted."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime

from chalicelib.correlation import current_correlation_id
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import (
    CHANGEABLE_WHILE_RUNNING,
    ENDED,
    MAX_DURATION,
    NOT_STARTED,
    STARTED,
    Mailing,
    MailingStatus,
    OnUncertain,
)
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import ConflictError, FieldError, StaleError, ValidationError
from chalicelib.ports import Clock, MailingRepository, NewId, Page, Scheduler
from chalicelib.services.arming import arm, disarm
from chalicelib.services.audit_trail import changed as tell_change
from chalicelib.services.existing import existing_mailing
from chalicelib.services.optimistic import optimistically
from chalicelib.services.order_sweep import OrderSweep

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewMailing:
    """What is told of a mailing to create."""

    start_at: datetime
    end_at: datetime
    text: str
    filter: AudienceFilter
    window: LocalWindow | None = None
    on_uncertain: OnUncertain = OnUncertain.RETRY
    draft: bool = False

    def made(self, mailing_id: str, now: datetime) -> Mailing:
        """Make the mailing.

        Raises:
            ValidationError: its times contradict each other or the clock.
        """
        mailing = Mailing(
            id=mailing_id,
            start_at=self.start_at,
            end_at=self.end_at,
            text=self.text,
            filter=self.filter,
            window=self.window,
            on_uncertain=self.on_uncertain,
            status=MailingStatus.DRAFT if self.draft else MailingStatus.SCHEDULED,
            created_at=now,
            updated_at=now,
            correlation_id=current_correlation_id(),
        )
        _check_times(mailing, now)
        return mailing


@dataclass(frozen=True, slots=True)
class ManageMailings:
    """The use cases of mailings."""

    mailings: MailingRepository
    scheduler: Scheduler
    sweep: OrderSweep
    clock: Clock
    new_id: NewId

    def create(self, new: NewMailing, mailing_id: str | None = None) -> Mailing:
        """Create a mailing and have it started: at its time, or at once if that has passed; a draft when it is told.

        Args:
            new: what is told of it.
            mailing_id: an id that only attempts to create this mailing have; if one of them did, this goes on from
                there.

        Raises:
            ValidationError: its times contradict each other or the clock.
        """
        now = self.clock()
        mailing = new.made(mailing_id or self.new_id(), now)
        try:
            self.mailings.create(mailing)
        except StaleError:
            mailing = self.get(mailing.id)
        else:
            logger.info("mailing created", extra={"mailing_id": mailing.id})
            tell_change(mailing.id, None, mailing)
        if mailing.status is MailingStatus.SCHEDULED:
            arm(self.scheduler, mailing, now)
        return mailing

    def get(self, mailing_id: str) -> Mailing:
        """Read a mailing.

        Raises:
            NotFoundError: there is none, or it was deleted.
        """
        return existing_mailing(self.mailings, mailing_id)

    def page(self, status: MailingStatus | None, after: str | None, limit: int) -> Page[Mailing]:
        """List mailings, newest first; tests are left out."""
        page = self.mailings.page(status, after, limit)
        return Page([mailing for mailing in page.items if mailing.test_of is None], page.next)

    def update(self, mailing_id: str, change: Callable[[Mailing], Mailing]) -> Mailing:
        """Change a mailing; a change that changes nothing stores nothing. A changed start moves the schedule.

        Args:
            mailing_id: which.
            change: pure; it is applied again to the newer mailing if somebody else was faster.

        Raises:
            NotFoundError: there is none, or it was deleted.
            ValidationError: its times would contradict each other or the clock.
            ConflictError: a field cannot be changed any more, or others kept changing the mailing.
        """

        def read_and_replace() -> Mailing:
            before = self.get(mailing_id)
            after = change(before)
            changed = {
                field.name for field in fields(Mailing) if getattr(before, field.name) != getattr(after, field.name)
            }
            if not changed:
                return before
            now = self.clock()
            _check_changeable(before, changed)
            if changed & {"start_at", "end_at"}:
                _check_times(after, now)
            after = replace(after, updated_at=now, version=before.version + 1, correlation_id=current_correlation_id())
            after = self._store(before, after, sweeps=bool(changed & {"end_at", "window"}))
            logger.info("mailing changed", extra={"mailing_id": mailing_id, "fields": sorted(changed)})
            if "start_at" in changed and after.status is MailingStatus.SCHEDULED:
                arm(self.scheduler, after, now)
            return after

        return optimistically(read_and_replace)

    def delete(self, mailing_id: str, check: Callable[[Mailing], object] = lambda _: None) -> None:
        """Delete a mailing: no request of it is begun any more, and nothing lists it.

        Args:
            mailing_id: which.
            check: raises if the mailing must not be deleted as it is; asked again if somebody else was faster.

        Raises:
            NotFoundError: there is none, or it was deleted before.
            ConflictError: others kept changing it.
        """

        def read_and_replace() -> None:
            before = self.get(mailing_id)
            check(before)
            after = replace(
                before,
                status=MailingStatus.DELETED,
                updated_at=self.clock(),
                version=before.version + 1,
                correlation_id=current_correlation_id(),
            )
            self._store(before, after, sweeps=True)

        optimistically(read_and_replace)
        logger.info("mailing deleted", extra={"mailing_id": mailing_id})
        disarm(self.scheduler, mailing_id)

    def _store(self, before: Mailing, after: Mailing, *, sweeps: bool) -> Mailing:
        if sweeps and before.status in STARTED:
            after = self.sweep(before, after, SegmentKind.FOLLOW)
        else:
            self.mailings.replace(before, after)
        tell_change(before.id, before, after)
        return after


def _check_times(mailing: Mailing, now: datetime) -> None:
    if mailing.end_at <= mailing.start_at:
        raise ValidationError(FieldError("end_at", "must be after start_at"))
    if mailing.end_at <= now:
        raise ValidationError(FieldError("end_at", "must be in the future"))
    if mailing.end_at - mailing.start_at > MAX_DURATION:
        raise ValidationError(FieldError("end_at", f"must be at most {MAX_DURATION.days} days after start_at"))


def _check_changeable(mailing: Mailing, changed: set[str]) -> None:
    if mailing.status in ENDED:
        raise ConflictError(f"the mailing is {mailing.status} and cannot be changed any more")
    fixed = sorted(changed - CHANGEABLE_WHILE_RUNNING)
    if fixed and mailing.status not in NOT_STARTED:
        raise ConflictError(f"{' and '.join(fixed)} cannot be changed once the mailing has started")
