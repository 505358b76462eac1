from dataclasses import replace

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

    def remove(self, suppression: Suppression) -> Client | None:
        if self._clients.suppressed.pop(suppression.phone, None) is None:
            raise StaleError("lifted meanwhile")
        return self._tell(suppression.phone)

    def _tell(self, phone: str) -> Client | None:
        before = self._clients.find_by_phone(phone)
        return self._clients.replace(before, replace(before, version=before.version + 1)) if before else None
