"""Mailings (port: `MailingRepository`)."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.adapters.model_errors import stale, translated_model
from chalicelib.adapters.tables import MailingItem
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus, OnUncertain
from chalicelib.errors import StaleError
from chalicelib.ports import Page

_SAME_NAMES = (
    "id",
    "start_at",
    "end_at",
    "text",
    "created_at",
    "updated_at",
    "started_at",
    "planned_at",
    "finished_at",
    "segments",
    "message_shards",
    "express",
    "sweep",
    "version",
    "test_of",
    "correlation_id",
)


class DynamoMailingRepository:
    """Mailings in the mailings table; see the port for what each method promises."""

    def create(self, mailing: Mailing) -> None:
        """Store a mailing."""
        self._save(mailing, MailingItem.id.does_not_exist(), "a mailing of this id exists")

    def get(self, mailing_id: str) -> Mailing | None:
        """Read a mailing, consistently."""
        with translated_model():
            try:
                return from_item(MailingItem.get(mailing_id, consistent_read=True))
            except MailingItem.DoesNotExist:
                return None

    def replace(self, before: Mailing, after: Mailing) -> None:
        """Change a mailing, on condition of its version."""
        self._save(after, MailingItem.version == before.version, "the mailing has changed since it was read")

    def starting_until(self, moment: datetime, limit: int) -> Sequence[Mailing]:
        """List scheduled mailings whose start is not after this moment, earliest first."""
        with translated_model():
            items = MailingItem.by_status.query(
                MailingStatus.SCHEDULED.value, MailingItem.start_at <= moment, limit=limit
            )
            return [from_item(item) for item in items]

    def page(self, status: MailingStatus | None, after: str | None, limit: int) -> Page[Mailing]:
        """List mailings that are not deleted, newest first: of one status by their start, else by their making."""
        options: dict[str, Any] = {
            "limit": limit,
            "scan_index_forward": False,
            "last_evaluated_key": json.loads(after) if after else None,
        }
        with translated_model():
            if status is None:
                found = MailingItem.by_id.query(MailingItem.KIND, **options)
            else:
                found = MailingItem.by_status.query(status.value, **options)
            mailings = [from_item(item) for item in found]
        last = found.last_evaluated_key
        return Page(mailings, json.dumps(last) if last else None)

    def _save(self, mailing: Mailing, condition: Condition, refused: str) -> None:
        try:
            with stale(refused):
                to_item(mailing).save(condition)
        except StaleError:
            # A put whose answer was lost is sent again by botocore, and then meets its own work.
            if self.get(mailing.id) != mailing:
                raise


def to_item(mailing: Mailing) -> MailingItem:
    """Make the item of a mailing; a deleted one or a test is without `kind`, and so in no list of all mailings."""
    window = mailing.window
    hidden = mailing.status is MailingStatus.DELETED or mailing.test_of is not None
    return MailingItem(
        **{name: getattr(mailing, name) for name in _SAME_NAMES},
        kind=None if hidden else MailingItem.KIND,
        operator_codes=list(mailing.filter.operator_codes),
        tags=list(mailing.filter.tags),
        window_from=f"{window.opens_at:%H:%M}" if window else None,
        window_to=f"{window.closes_at:%H:%M}" if window else None,
        on_uncertain=mailing.on_uncertain.value,
        status=mailing.status.value,
    )


def from_item(item: MailingItem) -> Mailing:
    """Make the mailing of an item."""
    return Mailing(
        **{name: getattr(item, name) for name in _SAME_NAMES},
        filter=AudienceFilter(tuple(item.operator_codes), tuple(item.tags)),
        window=LocalWindow.parse(item.window_from, item.window_to) if item.window_from and item.window_to else None,
        on_uncertain=OnUncertain(item.on_uncertain),
        status=MailingStatus(item.status),
    )
