"""Have the open messages of a client follow its deletion."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.delivery import Policy, follow
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message
from chalicelib.ports import Clock, MailingRepository, MessageLists, MessageRepository
from chalicelib.services.finish_mailing import FinishMailing

PAGE = 500
MAX_PAGES = 20  # 10,000 messages of one client; those beyond are cancelled on their own turn


@dataclass(frozen=True, slots=True)
class FollowClient:
    """Cancels the open messages of a client that is gone.

    It writes itself what a sender would: while the provider is held to be down, no sender looks at rows. A row in a
    sender's hands, and whatever is lost of this, is cancelled on its own turn.
    """

    lists: MessageLists
    messages: MessageRepository
    mailings: MailingRepository
    finish: FinishMailing
    clock: Clock
    policy: Policy
    queued_grace: timedelta

    def __call__(self, client_id: str) -> int:
        """Cancel them; returns how many were."""
        cancelled, after = 0, None
        for _ in range(MAX_PAGES):
            page = self.lists.of_client(client_id, after, PAGE)
            by_mailing = defaultdict(list)
            for row in self.messages.get_many(page.items).values():
                if row.is_open:
                    by_mailing[row.mailing_id].append(row)
            for mailing_id, rows in by_mailing.items():
                if mailing := self.mailings.get(mailing_id):
                    cancelled += self._cancel(mailing, rows)
            after = page.next
            if after is None:
                break
        return cancelled

    def _cancel(self, mailing: Mailing, rows: Iterable[Message]) -> int:
        now = self.clock()
        changes = [follow(row, mailing, None, now, self.policy, self.queued_grace) for row in rows]
        stored = self.messages.record(mailing.id, [change for change in changes if change])
        if stored:
            self.finish(mailing.id)
        return len(stored)
