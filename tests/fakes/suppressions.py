from collections.abc import Mapping, Sequence
from dataclasses import replace

from chalicelib.domain.bulk_import import Import
from chalicelib.domain.client import Client
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import StaleError
from chalicelib.ports import Page
from tests.fakes.clients import FakeClientRepository


class FakeSuppressionRepository:
    """Suppressions in memory (port: `SuppressionRepository`); `clients` are changed together with them."""

    def __init__(self, clients: FakeClientRepository) -> None:
        self._clients = clients

    def get(self, phone: str) -> Suppression | None:
        return self._clients.suppressed.get(phone)

    def page(self, after: str | None, limit: int) -> Page[Suppression]:
        phones = sorted(phone for phone in self._clients.suppressed if phone > (after or ""))
        found = [self._clients.suppressed[phone] for phone in phones[:limit]]
        return Page(found, phones[limit - 1] if len(phones) > limit else None)

    def add(self, suppression: Suppression) -> tuple[Suppression, Client | None]:
        if known := self.get(suppression.phone):
            return known, self._clients.find_by_phone(suppression.phone)
        self._clients.suppressed[suppression.phone] = suppression
        return suppression, self._tell(suppression.phone)

    def add_many(self, suppressions: Sequence[Suppression], under: Import, shard: int) -> Mapping[str, Client | None]:
        assert 0 <= shard < 8
        found = {}
        for one in suppressions:
            known = self.get(one.phone)
            try:
                _, found[one.phone] = self.add(one)
            except StaleError:
                continue
            if not known:
                self._clients.tell(under, created=1)
        return found

    def remove(self, suppression: Suppression) -> Client | None:
        if self._clients.suppressed.pop(suppression.phone, None) is None:
            raise StaleError("lifted meanwhile")
        return self._tell(suppression.phone)

    def _tell(self, phone: str) -> Client | None:
        before = self._clients.find_by_phone(phone)
        return self._clients.replace(before, replace(before, version=before.version + 1)) if before else None


class RacedSuppressions(FakeSuppressionRepository):
    """Suppressions of clients that somebody else changes right before each of the first writes."""

    def __init__(self, clients: FakeClientRepository, races: int) -> None:
        super().__init__(clients)
        self._races = races

    def add(self, suppression: Suppression) -> tuple[Suppression, Client | None]:
        if self._races:
            self._races -= 1
            raise StaleError("changed since")
        return super().add(suppression)
