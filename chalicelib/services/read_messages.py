"""Messages: one, those of a mailing, those of a client."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.message import Message, Reason, Status
from chalicelib.ports import ClientRepository, MailingRepository, MessageLists, MessageRepository, Page
from chalicelib.services.existing import existing_client, existing_mailing, existing_message

MAX_READS = 10  # index pages behind one page of a filtered list
COUNTED = 500  # messages a read, of at most `MAX_READS`, when open ones are counted


@dataclass(frozen=True, slots=True)
class OpenMessages:
    """How many messages of a client are open; with `more` there may be others, in older mailings."""

    number: int
    more: bool


@dataclass(frozen=True, slots=True)
class ReadMessages:
    """The use cases of those who ask where a message is."""

    messages: MessageRepository
    lists: MessageLists
    mailings: MailingRepository
    clients: ClientRepository

    def get(self, message_id: int) -> Message:
        """Read a message.

        Raises:
            NotFoundError: there is none, or it has aged out.
        """
        return existing_message(self.messages, message_id)

    def of_mailing(
        self, mailing_id: str, status: Status | None, after: str | None, limit: int, reason: Reason | None = None
    ) -> Page[Message]:
        """List messages of a mailing; status and reason are looked for in at most 10 × `limit` of them a page.

        Raises:
            NotFoundError: there is no such mailing, or it was deleted.
        """
        mailing = existing_mailing(self.mailings, mailing_id)

        def wanted(row: Message) -> bool:
            return status in {None, row.status} and reason in {None, row.reason}

        return self._page(lambda start, count: self.lists.of_mailing(mailing, start, count), wanted, after, limit)

    def of_client(self, client_id: str, after: str | None, limit: int) -> Page[Message]:
        """List messages of a client.

        Raises:
            NotFoundError: there is no such client.
        """
        client = existing_client(self.clients, client_id)
        return self._page(lambda start, count: self.lists.of_client(client.id, start, count), _any, after, limit)

    def open_of_client(self, client_id: str) -> OpenMessages:
        """Count the open messages of a client, among 5,000 at most.

        Raises:
            NotFoundError: there is no such client.
        """
        client, number, after = existing_client(self.clients, client_id), 0, None
        for _ in range(MAX_READS):
            ids = self.lists.of_client(client.id, after, COUNTED)
            number += sum(row.is_open for row in self.messages.get_many(ids.items).values())
            after = ids.next
            if after is None:
                break
        return OpenMessages(number, after is not None)

    def _page(
        self,
        read: Callable[[str | None, int], Page[int]],
        wanted: Callable[[Message], bool],
        after: str | None,
        limit: int,
    ) -> Page[Message]:
        found: list[Message] = []
        for _ in range(MAX_READS):
            ids = read(after, limit)
            rows = self.messages.get_many(ids.items)
            matching = [row for id_ in ids.items if (row := rows.get(id_)) and wanted(row)]
            found, after = found + matching, ids.next
            limit -= len(matching)
            if after is None or not limit:
                break
        return Page(found, after)


def _any(_row: Message) -> bool:
    return True
