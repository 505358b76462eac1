from collections.abc import Iterable

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message
from chalicelib.ports import Page


class FakeMessageLists:
    """Lists of messages in memory (port: `MessageLists`)."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages

    def of_mailing(self, mailing: Mailing, after: str | None, limit: int) -> Page[int]:
        return self._page((row.id for row in self.messages if row.mailing_id == mailing.id), after, limit)

    def of_client(self, client_id: str, after: str | None, limit: int) -> Page[int]:
        return self._page((row.id for row in self.messages if row.client_id == client_id), after, limit)

    def _page(self, ids: Iterable[int], after: str | None, limit: int) -> Page[int]:
        rest = sorted(id_ for id_ in ids if id_ > int(after or 0))
        return Page(rest[:limit], str(rest[limit - 1]) if len(rest) > limit else None)
