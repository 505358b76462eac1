"""Deliver one message: decide, ask the provider, settle."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from chalicelib.domain.backoff import Uniform
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import End, Leave, Policy, PutOff, carry_out, decide, settle
from chalicelib.domain.message import Message, Outcome
from chalicelib.domain.phone import mask
from chalicelib.ports import ClientRepository, Clock, Provider
from chalicelib.services.cached_mailings import CachedMailings

logger = logging.getLogger(__name__)

LEASE_MARGIN = timedelta(seconds=2)
CLIENT_MAX_AGE = timedelta(seconds=2)


class Undone(Enum):
    """No request was made and the row stays as it was."""

    NOT_BEGUN = "there was no time left for it"
    LEFT_ALONE = "there was nothing to do"


@dataclass(frozen=True, slots=True)
class DeliverMessage:
    """Takes a leased row as far as it goes at this moment. Runs in many threads at once; writes nothing."""

    mailings: CachedMailings
    clients: ClientRepository
    provider: Provider
    clock: Clock
    uniform: Uniform
    policy: Policy

    def __call__(
        self, message: Message, client: Client | None, read_at: datetime, begin_until: datetime
    ) -> Outcome | Undone:
        """Make the request, if it may start now and be over before the lease ends.

        Args:
            message: leased by the caller.
            client: the client of the row, None if there is none.
            read_at: when the client was read; it is read again if that was long ago.
            begin_until: no request begins after it.
        """
        if client is not None and self.clock() - read_at > CLIENT_MAX_AGE:
            client = self.clients.get(client.id)
        mailing = self.mailings.get(message.mailing_id)
        now = self.clock()
        lease_until = message.lease_until or now
        if now >= begin_until or now + self.policy.request_timeout + LEASE_MARGIN >= lease_until:
            return Undone.NOT_BEGUN
        decision = decide(message, mailing, client, now, self.policy)
        ids = {"mailing_id": message.mailing_id, "message_id": message.id, "client_id": message.client_id}
        if isinstance(decision, Leave):
            logger.debug("message left alone", extra=ids | {"why": decision.why})
            return Undone.LEFT_ALONE
        if isinstance(decision, PutOff | End):
            outcome = carry_out(message, decision, mailing, now)
            logger.info("message not requested", extra=ids | _told(outcome))
            return outcome
        phone, text = decision.client.phone, decision.mailing.text
        timeout_seconds = (decision.deadline - now).total_seconds()
        answer = self.provider.send(message.id, phone, text, timeout_seconds)
        outcome = settle(message, answer, decision.mailing, self.clock(), self.policy, self.uniform)
        told = {
            "phone": mask(phone),
            "text_length": len(text),
            "answer": answer.kind.value,
            "http_status": answer.status,
            "error": answer.error,
            "duration_ms": answer.duration_ms,
            "attempts": outcome.after.attempts,
        }
        logger.info("message requested", extra=ids | told | _told(outcome))
        return outcome


def _told(outcome: Outcome) -> dict[str, object]:
    after = outcome.after
    return {
        "status": after.status.value,
        "reason": after.reason.value if after.reason else None,
        "not_before": after.not_before.isoformat() if after.not_before else None,
    }
