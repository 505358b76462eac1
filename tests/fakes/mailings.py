from collections.abc import Sequence
from datetime import datetime

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.errors import StaleError
from chalicelib.ports import Page


class FakeMailingRepository:
    """Mailings in memory (port: `MailingRepository`)."""

    def __init__(self, *mailings: Mailing) -> None:
        self.stored = {mailing.id: mailing for mailing in mailings}

    def create(self, mailing: Mailing) -> None:
        if mailing.id in self.stored:
            raise StaleError("exists")
        self.stored[mailing.id] = mailing

    def get(self, mailing_id: str) -> Mailing | None:
        return self.stored.get(mailing_id)

    def replace(self, before: Mailing, after: Mailing) -> None:
        if self.stored[before.id].version != before.version:
            raise StaleError("changed since")
        self.stored[after.id] = after

    def starting_until(self, moment: datetime, limit: int) -> Sequence[Mailing]:
        due = [
            mailing
            for mailing in self.stored.values()
            if mailing.status is MailingStatus.SCHEDULED and mailing.start_at <= moment
        ]
        return sorted(due, key=lambda mailing: mailing.start_at)[:limit]

    def page(self, status: MailingStatus | None, after: str | None, limit: int) -> Page[Mailing]:
        def key(mailing: Mailing) -> str:
            return f"{mailing.start_at.isoformat() if status else ''} {mailing.id}"

        wanted = [
            mailing
            for mailing in self.stored.values()
            if mailing.status is not MailingStatus.DELETED
            and (mailing.test_of is None if status is None else mailing.status is status)
            and (after is None or key(mailing) < after)
        ]
        wanted.sort(key=key, reverse=True)
        return Page(wanted[:limit], key(wanted[limit - 1]) if len(wanted) > limit else None)
