"""Have the open messages of a client follow its deletion or suppression."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.client import Client
from chalicelib.domain.delivery import Policy, follow
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message, Outcome
from chalicelib.errors import TransientError
from chalicelib.ports import Clock, MailingRepository, MessageLists, MessageRepository
from chalicelib.services.bundles import Bundles
from chalicelib.services.finish_mailing import FinishMailing

logger = logging.getLogger(__name__)

PAGE = 500
MAX_PAGES = 20  # 10,000 messages of one client; those beyond are cancelled on their own turn


@dataclass(frozen=True, slots=True)
class FollowClient:
    """Cancels the open messages of a client that is gone or suppressed.

    It writes itself what a sender would: while the provider is held to be down, no sender looks at rows. A row in a
    sender's hands, and whatever is lost of this, is cancelled on its own turn.
    """

    lists: MessageLists
    messages: MessageRepository
    bundles: Bundles
    mailings: MailingRepository
    finish: FinishMailing
    clock: Clock
    policy: Policy
    queued_grace: timedelta

    def __call__(self, client_id: str, client: Client | None = None) -> int:
        """Cancel them; returns how many were.

        Args:
            client_id: whose messages.
            client: as it is stored by now, suppressed; None if it is gone.
        """
        cancelled, after = 0, None
        for _ in range(MAX_PAGES):
            page = self.lists.of_client(client_id, after, PAGE)
            by_mailing = defaultdict(list)
            for row in self.messages.get_many(page.items).values():
                if row.is_open:
                    by_mailing[row.mailing_id].append(row)
            for mailing_id, rows in by_mailing.items():
                if mailing := self.mailings.get(mailing_id):
                    cancelled += self._cancel(mailing, client, rows)
            after = page.next
            if after is None:
                break
        return cancelled

    def as_far_as_it_goes(self, client_id: str, client: Client | None = None) -> None:
        """Cancel them; what cannot be now is cancelled when the turn of each message comes."""
        try:
            self(client_id, client)
        except TransientError as error:
            logger.warning("messages not cancelled yet", extra={"client_id": client_id, "error": str(error)})

    def _cancel(self, mailing: Mailing, client: Client | None, rows: Iterable[Message]) -> int:
        now = self.clock()

        def change(row: Message) -> Outcome | None:
            return follow(row, mailing, client, now, self.policy, self.queued_grace)

        stored = self.messages.record(mailing.id, self.bundles.change(rows, change, now))
        if stored:
            self.finish(mailing.id)
        return len(stored)
