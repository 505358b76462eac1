"""Have senders look at the open messages of a client: its deletion ends them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.tickets import deal_out
from chalicelib.ports import MailingRepository, MessageLists, MessageRepository, TicketQueue

PAGE = 500
MAX_PAGES = 20  # 10,000 messages of one client; those beyond are looked at on their own turn


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Queues a ticket for each open message of a client. Whatever is lost of it comes on its own turn."""

    lists: MessageLists
    messages: MessageRepository
    mailings: MailingRepository
    tickets: TicketQueue

    def __call__(self, client_id: str) -> int:
        """Queue the tickets; returns for how many messages."""
        queued, after = 0, None
        for _ in range(MAX_PAGES):
            page = self.lists.of_client(client_id, after, PAGE)
            rows = self.messages.get_many(page.items).values()
            by_mailing = defaultdict(list)
            for row in rows:
                if row.is_open:
                    by_mailing[row.mailing_id].append(row.id)
            for mailing_id, ids in by_mailing.items():
                mailing = self.mailings.get(mailing_id)
                if mailing:
                    self.tickets.send_messages(mailing, [(ticket, timedelta()) for ticket in deal_out(ids)])
                    queued += len(ids)
            after = page.next
            if after is None:
                break
        return queued
