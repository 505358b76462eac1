from collections.abc import Callable, Collection, Iterable

from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message
from chalicelib.ports import Page


class FakeMessageLists:
    """Lists of messages in memory (port: `MessageLists`): of those given, or of a repository as it is by then."""

    def __init__(self, *messages: Message, stored: Callable[[], Collection[Message]] = tuple) -> None:
        self._given = messages
        self._stored = stored

    def of_mailing(self, mailing: Mailing, after: str | None, limit: int) -> Page[int]:
        return self._page((row.id for row in self._rows() if row.mailing_id == mailing.id), after, limit)

    def of_part(self, part: str, after: str | None, limit: int) -> Page[int]:
        return self._page((row.id for row in self._rows() if row.mailing_shard == part), after, limit)

    def of_client(self, client_id: str, after: str | None, limit: int) -> Page[int]:
        return self._page((row.id for row in self._rows() if row.client_id == client_id), after, limit)

    def _rows(self) -> Iterable[Message]:
        return [*self._given, *self._stored()]

    def _page(self, ids: Iterable[int], after: str | None, limit: int) -> Page[int]:
        rest = sorted(id_ for id_ in ids if id_ > int(after or 0))
        return Page(rest[:limit], str(rest[limit - 1]) if len(rest) > limit else None)
