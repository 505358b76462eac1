"""Find what somebody looks for who has an id or a phone."""

import re
from dataclasses import dataclass

from chalicelib.domain.identity import ULID
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.phone import is_phone, typed_phone
from chalicelib.ports import ClientRepository, ImportRepository, MailingRepository, MessageRepository

_MESSAGE_ID = re.compile(r"[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: `kind` is mailing, message, client, clients import or suppressions import."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class FindSubject:
    """The use case of the search box."""

    mailings: MailingRepository
    clients: ClientRepository
    messages: MessageRepository
    imports: ImportRepository

    def __call__(self, text: str) -> Found | None:
        """Find the mailing, client, import or message with this id, or the client with this phone.

        A number that is both a phone and the id of a message is the phone, if somebody has it.
        """
        phone, id_ = typed_phone(text), text.strip().upper()
        if is_phone(phone) and (client := self.clients.find_by_phone(phone)):
            return Found("client", client.id)
        if ULID.fullmatch(id_):
            return self._by_ulid(id_)
        if _MESSAGE_ID.fullmatch(id_) and self.messages.get_many([int(id_)]):
            return Found("message", id_)
        return None

    def _by_ulid(self, id_: str) -> Found | None:
        mailing = self.mailings.get(id_)
        if mailing and mailing.status is not MailingStatus.DELETED:
            return Found("mailing", id_)
        if self.clients.get(id_):
            return Found("client", id_)
        imported = self.imports.get(id_)
        return Found(f"{imported.kind.value} import", id_) if imported else None
