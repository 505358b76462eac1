"""Deliver one message: decide, ask the provider, settle."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from chalicelib.domain.answer import Answer
from chalicelib.domain.backoff import Uniform
from chalicelib.domain.breaker import Hold
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import Decision, End, Leave, Policy, PutOff, Send, carry_out, decide, settle
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import Message, Outcome
from chalicelib.domain.phone import mask
from chalicelib.ports import ClientRepository, Clock, Provider
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.provider_gate import ProviderGate, Turn
from chalicelib.services.tally import Tally

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
    gate: ProviderGate
    clock: Clock
    uniform: Uniform
    policy: Policy
    tally: Tally

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
        lease_until = message.lease_until or self.clock()
        until = min(begin_until, lease_until - self.policy.request_timeout - LEASE_MARGIN)
        decision, mailing = self._decide(message, client, read_at, self.gate.hold())
        if self.clock() >= until:
            return Undone.NOT_BEGUN
        if isinstance(decision, Send):
            turn = self.gate.enter(until)
            if turn is None:
                return Undone.NOT_BEGUN
            if isinstance(turn, Turn):
                return self._in_turn(turn, message, client, read_at, until)
            decision, mailing = self._decide(message, client, read_at, turn)
        return self._without_request(message, decision, mailing)

    def _in_turn(
        self, turn: Turn, message: Message, client: Client | None, read_at: datetime, until: datetime
    ) -> Outcome | Undone:
        answer: Answer | None = None
        try:
            # Waiting for the turn may have taken seconds, or another thread may have found the provider down.
            decision, mailing = self._decide(message, client, read_at, None if turn.is_probe else self.gate.hold())
            if self.clock() >= until:
                return Undone.NOT_BEGUN
            if not isinstance(decision, Send):
                return self._without_request(message, decision, mailing)
            answer = self._request(message, decision)
        finally:
            self.gate.leave(turn, answer)
        return self._settled(message, decision, answer, probe=turn.is_probe)

    def _decide(
        self, message: Message, client: Client | None, read_at: datetime, hold: Hold | None
    ) -> tuple[Decision, Mailing | None]:
        if client is not None and self.clock() - read_at > CLIENT_MAX_AGE:
            client = self.clients.get(client.id)
        mailing = self.mailings.get(message.mailing_id)
        return decide(message, mailing, client, self.clock(), self.policy, hold), mailing

    def _without_request(self, message: Message, decision: Decision, mailing: Mailing | None) -> Outcome | Undone:
        if isinstance(decision, PutOff | End):
            outcome = carry_out(message, decision, mailing, self.clock())
            logger.info("message not requested", extra=_ids(message) | _told(outcome))
            return outcome
        why = decision.why if isinstance(decision, Leave) else None
        logger.debug("message left alone", extra=_ids(message) | {"why": why})
        return Undone.LEFT_ALONE

    def _request(self, message: Message, send: Send) -> Answer:
        timeout_seconds = (send.deadline - self.clock()).total_seconds()
        answer = self.provider.send(message.id, send.client.phone, send.mailing.text, timeout_seconds)
        self.tally.answered(answer)
        return answer

    def _settled(self, message: Message, send: Send, answer: Answer, *, probe: bool) -> Outcome:
        now, hold = self.clock(), self.gate.hold()
        outcome = settle(message, answer, send.mailing, now, self.policy, self.uniform, probe=probe, hold=hold)
        told = {
            "phone": mask(send.client.phone),
            "text_length": len(send.mailing.text),
            "answer": answer.kind.value,
            "http_status": answer.status,
            "error": answer.error,
            "duration_ms": answer.duration_ms,
            "attempts": outcome.after.attempts,
        }
        logger.info("message requested", extra=_ids(message) | told | _told(outcome))
        return outcome


def _ids(message: Message) -> dict[str, object]:
    return {"mailing_id": message.mailing_id, "message_id": message.id, "client_id": message.client_id}


def _told(outcome: Outcome) -> dict[str, object]:
    after = outcome.after
    return {
        "status": after.status.value,
        "reason": after.reason.value if after.reason else None,
        "not_before": after.not_before.isoformat() if after.not_before else None,
    }
