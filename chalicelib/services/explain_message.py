"""Explain a message: why it is where it is, what happens next and when."""

from dataclasses import dataclass

from chalicelib.domain.delivery import Policy
from chalicelib.domain.explain import Explanation, explain
from chalicelib.domain.message import Message
from chalicelib.ports import ClientRepository, Clock, MailingRepository, MessageRepository
from chalicelib.services.bundles import Bundles
from chalicelib.services.existing import existing_message
from chalicelib.services.shared_breaker import SharedBreaker


@dataclass(frozen=True, slots=True)
class ExplainMessage:
    """The use case of those who ask why a client got nothing, or when it will. Everything is read consistently."""

    messages: MessageRepository
    bundles: Bundles
    mailings: MailingRepository
    clients: ClientRepository
    clock: Clock
    policy: Policy
    breaker: SharedBreaker

    def __call__(self, message_id: int) -> tuple[Message, Explanation]:
        """Read a message and explain it.

        Raises:
            NotFoundError: there is none, or it has aged out.
        """
        message = existing_message(self.messages, message_id)
        mailing = self.mailings.get(message.mailing_id)
        client = self.clients.get(message.client_id)
        now = self.clock()
        seen = self.bundles.seen(message, now)
        return message, explain(seen, mailing, client, now, self.policy, self.breaker.current())
