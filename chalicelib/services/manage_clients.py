"""Clients: created, read, listed, changed and deleted."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.domain.audience import AudienceFilter, parts_to_read
from chalicelib.domain.client import Client
from chalicelib.domain.phone import mask, operator_code_of
from chalicelib.errors import ConflictError
from chalicelib.ports import AudienceRepository, ClientRepository, Clock, NewId, Page
from chalicelib.services.audit_trail import changed
from chalicelib.services.existing import existing_client
from chalicelib.services.follow_client import FollowClient
from chalicelib.services.optimistic import optimistically

logger = logging.getLogger(__name__)

MAX_READS = 64  # queries behind one page of a list: twice the partitions of a value


@dataclass(frozen=True, slots=True)
class NewClient:
    """What is told of a client to create; its operator code is that of its phone unless told."""

    phone: str
    timezone: str
    operator_code: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class ManageClients:
    """The use cases of clients."""

    clients: ClientRepository
    audience: AudienceRepository
    follow_client: FollowClient
    clock: Clock
    new_id: NewId

    def create(self, new: NewClient, client_id: str | None = None) -> Client:
        """Create a client.

        Args:
            new: what is told of it.
            client_id: an id that only attempts to create this client have; if one of them did, this returns the client.

        Raises:
            ConflictError: another client has its phone.
        """
        now = self.clock()
        client = Client(
            id=client_id or self.new_id(),
            phone=new.phone,
            operator_code=new.operator_code or operator_code_of(new.phone),
            tag=new.tag,
            timezone=new.timezone,
            created_at=now,
            updated_at=now,
        )
        try:
            client = self.clients.create(client)
        except ConflictError:
            before = self.clients.get(client.id)
            if before is None:
                raise
            return before
        logger.info("client created", extra={"client_id": client.id, "phone": mask(client.phone)})
        changed(client.id, None, client)
        return client

    def get(self, client_id: str) -> Client:
        """Read a client.

        Raises:
            NotFoundError: there is none.
        """
        return existing_client(self.clients, client_id)

    def update(self, client_id: str, change: Callable[[Client], Client]) -> Client:
        """Change a client; a change that changes nothing stores nothing.

        Args:
            client_id: which.
            change: pure; it is applied again to the newer client if somebody else was faster.

        Raises:
            NotFoundError: there is none.
            ConflictError: another client has the phone, or others kept changing this one.
        """

        def read_and_replace() -> Client:
            before = self.get(client_id)
            after = change(before)
            if after == before:
                return before
            after = replace(after, updated_at=self.clock(), version=before.version + 1)
            after = self.clients.replace(before, after)
            logger.info("client changed", extra={"client_id": client_id, "phone": mask(after.phone)})
            changed(client_id, before, after)
            return after

        client = optimistically(read_and_replace)
        if client.suppressed:
            # Its phone may be one that was suppressed before.
            self.follow_client.as_far_as_it_goes(client_id, client)
        return client

    def delete(self, client_id: str, check: Callable[[Client], object] = lambda _: None) -> None:
        """Delete a client, and its phone everywhere; its open messages are cancelled.

        Args:
            client_id: which.
            check: raises if the client must not be deleted as it is; asked again if somebody else was faster.

        Raises:
            NotFoundError: there is none.
            ConflictError: others kept changing it.
        """

        def read_and_delete() -> None:
            client = self.get(client_id)
            check(client)
            self.clients.delete(client)
            changed(client_id, client, None)

        optimistically(read_and_delete)
        logger.info("client deleted", extra={"client_id": client_id})
        self.follow_client.as_far_as_it_goes(client_id)

    def with_phone(self, phone: str, meant: AudienceFilter) -> Page[Client]:
        """List the one client with this phone, if there is one and the filter means it."""
        client = self.clients.find_by_phone(phone)
        return Page([client] if client and meant.matches(client) else [])

    def page(self, meant: AudienceFilter, after: str | None, limit: int) -> Page[Client]:
        """List clients of the audience, partition after partition, in each in order of id.

        A page that took 64 queries ends there, however few clients it has found.

        Args:
            meant: which clients.
            after: `next` of the page before.
            limit: how many clients at most.
        """
        parts = parts_to_read(meant)
        index, _, last = (after or "0:").partition(":")
        part = int(index)
        found: list[Client] = []
        for _ in range(MAX_READS):
            members = self.audience.members(parts[part], last or None, limit - len(found))
            ids = [member.client_id for member in members.items if meant.matches(member)]
            clients = self.clients.get_many(ids)
            found += [client for id_ in ids if (client := clients.get(id_)) and meant.matches(client)]
            part, last = (part, members.next) if members.next else (part + 1, "")
            if part == len(parts):
                return Page(found)
            if len(found) == limit:
                break
        return Page(found, f"{part}:{last}")


def with_new_phone(client: Client, phone: str) -> Client:
    """Give a client another phone; its operator code follows if it was that of the old phone."""
    followed = client.operator_code == operator_code_of(client.phone)
    return replace(client, phone=phone, operator_code=operator_code_of(phone) if followed else client.operator_code)
