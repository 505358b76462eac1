"""Send the text of a mailing to one client, to see what it looks like."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.correlation import current_correlation_id
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.delivery import planned
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message
from chalicelib.errors import ConflictError, FieldError, TransientError, ValidationError
from chalicelib.ports import ClientRepository, Clock, MailingRepository, MessageRepository, NewId, TicketQueue
from chalicelib.services.audit_trail import did
from chalicelib.services.existing import existing_mailing

logger = logging.getLogger(__name__)

DURATION = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SendTest:
    """Sends a test by a mailing of its own, which is in no list and lasts an hour.

    So the sender treats its message as any other: the breaker, limits, retries, leases and the journal are those of all
    messages, and the statistics of the mailing that is tested stay what they are. The test mailing, its row and its
    counter are one transaction: there is none without a row that could finish too early. Killed before the ticket: the
    row's `due_at` brings one.
    """

    mailings: MailingRepository
    clients: ClientRepository
    messages: MessageRepository
    tickets: TicketQueue
    clock: Clock
    new_id: NewId
    queued_grace: timedelta

    def __call__(self, mailing_id: str, client_id: str, test_id: str | None = None) -> Message:
        """Have the text sent, whatever the state and the window of the mailing; returns the message, queued.

        Args:
            mailing_id: what is tested.
            client_id: whom it is sent to.
            test_id: an id that only attempts to send this test have; if one of them did, its message is returned.

        Raises:
            NotFoundError: there is no such mailing, or it was deleted.
            ValidationError: there is no such client.
            ConflictError: the client is suppressed.
        """
        mailing = existing_mailing(self.mailings, mailing_id)
        client = self.clients.get(client_id)
        if client is None:
            raise ValidationError(FieldError("client_id", "there is no such client"))
        if client.suppressed:
            raise ConflictError("the client is suppressed and gets no messages, no tests either")
        test = self._test_of(mailing, test_id or self.new_id())
        message = self.messages.plan_alone(
            test, planned(test, client_id, self.new_id(), test.created_at, self.queued_grace)
        )
        ids = {"mailing_id": test.id, "message_id": message.id, "client_id": client_id}
        logger.info("test queued", extra=ids | {"test_of": mailing_id})
        did(mailing_id, client_id=client_id, message_id=message.id)
        try:
            self.tickets.send_messages(test, [([message.id], timedelta())])
        except TransientError as error:
            # An error would have the caller ask again, and the client get it twice.
            logger.warning("test without a ticket; due_at brings one", extra=ids | {"error": str(error)})
        return message

    def _test_of(self, mailing: Mailing, test_id: str) -> Mailing:
        now = self.clock()
        return replace(
            mailing,
            id=test_id,
            start_at=now,
            end_at=now + DURATION,
            filter=AudienceFilter(),
            window=None,
            status=MailingStatus.RUNNING,
            created_at=now,
            updated_at=now,
            started_at=now,
            planned_at=now,
            finished_at=None,
            segments=0,
            message_shards=1,
            express=True,
            sweep=0,
            version=1,
            test_of=mailing.id,
            correlation_id=current_correlation_id(),
        )
