"""What an import of clients does with its rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from chalicelib.domain.bulk_import import Import
from chalicelib.domain.client import Client, ClientChange
from chalicelib.domain.phone import operator_code_of
from chalicelib.ports import ClientRepository, Clock
from chalicelib.services.import_shares import store_in_shares
from chalicelib.services.manage_clients import NewClient


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A row: what a client is to be. `columns` are those that the file has; of a client that exists, others stay."""

    facts: NewClient
    columns: frozenset[str]

    def applied_to(self, client: Client) -> Client:
        """Make the client as the row has it."""
        facts = self.facts
        return replace(
            client,
            timezone=facts.timezone,
            operator_code=_operator_code(facts) if "operator_code" in self.columns else client.operator_code,
            tag=facts.tag if "tag" in self.columns else client.tag,
        )


@dataclass(frozen=True, slots=True)
class ImportClients:
    """Creates clients, or changes those who have the phone already; what changes nothing writes nothing.

    It may be done again with the same rows: they are then found as they should be, and not counted again.
    """

    clients: ClientRepository
    clock: Clock
    new_id: Callable[[], str]
    executor: Executor

    def __call__(self, under: Import, rows: Sequence[ClientRow]) -> None:
        """Store the rows as if one after the other, and count what they did under the import.

        Raises:
            TransientError: not all of them are stored.
        """
        by_phone: defaultdict[str, list[ClientRow]] = defaultdict(list)
        for row in rows:
            by_phone[row.facts.phone].append(row)
        of_phones: Sequence[Sequence[ClientRow]] = list(by_phone.values())
        store_in_shares(self.executor, partial(self._store, under), of_phones)

    def _store(
        self, under: Import, shard: int, of_phones: Sequence[Sequence[ClientRow]]
    ) -> Sequence[Sequence[ClientRow]]:
        """Store what is to become of some phones; returns the rows of those that somebody else writes to."""
        known = self.clients.find_by_phones([_phone(rows) for rows in of_phones])
        changes = [change for rows in of_phones if (change := self._change(known.get(_phone(rows)), rows))]
        stale = {change.after.phone for change in self.clients.change_many(changes, under, shard)}
        return [rows for rows in of_phones if _phone(rows) in stale]

    def _change(self, before: Client | None, rows: Sequence[ClientRow]) -> ClientChange | None:
        """Say what the rows of one phone make of its client; None: nothing."""
        now = self.clock()
        client = before or self._new(rows[0].facts)
        changed = 0
        for row in rows:
            after = row.applied_to(client)
            changed += after != client
            client = after
        if client == before:
            return None
        if before:
            client = replace(client, updated_at=now, version=before.version + 1)
        return ClientChange(before, client, changed)

    def _new(self, facts: NewClient) -> Client:
        now = self.clock()
        return Client(
            id=self.new_id(),
            phone=facts.phone,
            operator_code=_operator_code(facts),
            tag=facts.tag,
            timezone=facts.timezone,
            created_at=now,
            updated_at=now,
        )


def _operator_code(facts: NewClient) -> str:
    return facts.operator_code or operator_code_of(facts.phone)


def _phone(rows: Sequence[ClientRow]) -> str:
    return rows[0].facts.phone
