"""Suppress phones whose owners opted out, list them, and lift that."""

import logging
from dataclasses import dataclass

from chalicelib.domain.client import Client
from chalicelib.domain.phone import mask
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import NotFoundError
from chalicelib.ports import Clock, Page, SuppressionRepository
from chalicelib.services.audit_trail import changed
from chalicelib.services.follow_client import FollowClient
from chalicelib.services.optimistic import optimistically

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SuppressPhones:
    """The use cases of suppressions.

    A suppressed phone gets no message, whoever has it: whether a client does, or will, and after that client is
    deleted. Open messages of the client who has it are cancelled; lifting a suppression does not bring them back.
    """

    suppressions: SuppressionRepository
    follow_client: FollowClient
    clock: Clock

    def one(self, phone: str) -> Suppression:
        """Suppress a phone; one that is suppressed stays as it is, and what is open is cancelled again.

        Raises:
            ConflictError: others kept changing the client who has it.
        """
        suppression, client = optimistically(lambda: self.suppressions.add(Suppression(phone, self.clock())))
        client_id = client.id if client else None
        logger.info("phone suppressed", extra={"phone": mask(phone), "client_id": client_id})
        changed(mask(phone), None, suppression)
        if client and client.suppressed:
            self.follow_client.as_far_as_it_goes(client.id, client)
        return suppression

    def get(self, phone: str) -> Suppression:
        """Read the suppression of a phone.

        Raises:
            NotFoundError: it is not suppressed.
        """
        suppression = self.suppressions.get(phone)
        if suppression is None:
            raise NotFoundError("this phone is not suppressed")
        return suppression

    def page(self, after: str | None, limit: int) -> Page[Suppression]:
        """List suppressions."""
        return self.suppressions.page(after, limit)

    def lift(self, phone: str) -> None:
        """Have a phone get messages again: those of mailings that are planned from then on.

        Raises:
            NotFoundError: it is not suppressed.
            ConflictError: others kept changing the client who has it.
        """

        def read_and_remove() -> Client | None:
            before = self.get(phone)
            client = self.suppressions.remove(before)
            changed(mask(phone), before, None)
            return client

        client = optimistically(read_and_remove)
        logger.info("suppression lifted", extra={"phone": mask(phone), "client_id": client.id if client else None})
