from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from chalicelib.domain.audience import Member, parts_of
from chalicelib.domain.bulk_import import Import, Tally
from chalicelib.domain.client import Client, ClientChange
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import ConflictError, StaleError
from chalicelib.ports import Page

Suppressed = dict[str, Suppression]


class FakeClientRepository:
    """Clients and audience in memory (ports: `ClientRepository`, `AudienceRepository`).

    `tallies` is what was counted under imports.
    """

    def __init__(self, *clients: Client) -> None:
        self.stored: dict[str, Client] = {}
        self.suppressed = Suppressed()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        for client in clients:
            self.create(client)

    def create(self, client: Client) -> Client:
        self._check_phone(client)
        if client.id in self.stored:
            raise StaleError("exists")
        return self._store(client)

    def get(self, client_id: str) -> Client | None:
        return self.stored.get(client_id)

    def get_many(self, client_ids: Collection[str]) -> Mapping[str, Client]:
        return {id_: self.stored[id_] for id_ in client_ids if id_ in self.stored}

    def find_by_phone(self, phone: str) -> Client | None:
        return next((client for client in self.stored.values() if client.phone == phone), None)

    def find_by_phones(self, phones: Collection[str]) -> Mapping[str, Client]:
        return {client.phone: client for client in self.stored.values() if client.phone in phones}

    def change_many(self, changes: Sequence[ClientChange], under: Import, shard: int) -> Sequence[ClientChange]:
        assert 0 <= shard < 8
        stale = []
        for change in changes:
            try:
                if change.before:
                    self.replace(change.before, change.after)
                else:
                    self.create(change.after)
            except ConflictError:
                stale.append(change)
            else:
                self.tell(under, created=int(change.before is None), changed=change.rows)
        return stale

    def tell(self, under: Import, created: int, changed: int = 0) -> None:
        """Count under an import."""
        tally = self.tallies[under.id]
        self.tallies[under.id] = Tally(tally.created + created, tally.changed + changed)

    def replace(self, before: Client, after: Client) -> Client:
        if before.phone != after.phone:
            self._check_phone(after)
        self._check_version(before)
        return self._store(after)

    def delete(self, client: Client) -> None:
        self._check_version(client)
        del self.stored[client.id]

    def members(self, part: str, after: str | None, limit: int) -> Page[Member]:
        found = sorted(
            (client for client in self.stored.values() if part in parts_of(client) and client.id > (after or "")),
            key=lambda client: client.id,
        )
        members = [Member.of(client) for client in found[:limit]]
        return Page(members, members[-1].client_id if len(found) > limit else None)

    def count(self, part: str, after: str | None) -> int:
        return sum(part in parts_of(client) and client.id > (after or "") for client in self.stored.values())

    def _store(self, client: Client) -> Client:
        self.stored[client.id] = replace(client, suppressed=client.phone in self.suppressed)
        return self.stored[client.id]

    def _check_phone(self, client: Client) -> None:
        if self.find_by_phone(client.phone):
            raise ConflictError("phone is taken")

    def _check_version(self, client: Client) -> None:
        current = self.stored.get(client.id)
        if current is None or current.version != client.version:
            raise StaleError("changed since")
