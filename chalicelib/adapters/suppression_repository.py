"""Suppressions, each changed in one transaction with the client who has the phone (port: `SuppressionRepository`)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.adapters.client_repository import DynamoClientRepository, suppression_key
from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.counted_changes import Counted, CountedChanges
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import SuppressionItem
from chalicelib.domain.bulk_import import Import, Tally
from chalicelib.domain.client import Client
from chalicelib.domain.suppression import PARTS, Suppression, part_of
from chalicelib.errors import StaleError
from chalicelib.ports import Page

_CODEC = ItemCodec(SuppressionItem, Suppression, extra=lambda one: {"part": part_of(one.phone)})


class DynamoSuppressionRepository:
    """Suppressions in a table of their own; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB, clients: DynamoClientRepository) -> None:
        self._dynamodb = dynamodb
        self._counted_changes = CountedChanges(dynamodb)
        self._clients = clients
        self._suppressions = SuppressionItem.Meta.table_name

    def get(self, phone: str) -> Suppression | None:
        """Read the suppression of a phone, consistently."""
        return self._known([phone]).get(phone)

    def page(self, after: str | None, limit: int) -> Page[Suppression]:
        """List suppressions, partition after partition. `after` is `<part>:<last phone>`, the phone may be empty."""
        first, _, last = (after or "0:").partition(":")
        found: list[Suppression] = []
        for part in range(int(first), PARTS):
            query: dict[str, Any] = {
                "TableName": self._suppressions,
                "KeyConditionExpression": "part = :part",
                "ExpressionAttributeValues": {":part": {"S": f"{part:02d}"}},
                "ConsistentRead": True,
                "Limit": limit - len(found),
            }
            if last:
                query["ExclusiveStartKey"] = suppression_key(last)
            with translated():
                answer = self._dynamodb.client.query(**query)
            found += map(_CODEC.decode, answer["Items"])
            if "LastEvaluatedKey" in answer:
                return Page(found, f"{part}:{answer['LastEvaluatedKey']['phone']['S']}")
            if len(found) == limit and part + 1 < PARTS:
                return Page(found, f"{part + 1}:")
            last = ""
        return Page(found)

    def add(self, suppression: Suppression) -> tuple[Suppression, Client | None]:
        """Store a suppression, and have the client who has the phone know of it."""
        known = self.get(suppression.phone)
        client = self._clients.find_by_phone(suppression.phone)
        if known:
            return known, client
        items, after = self._addition(suppression, client)
        self._write(items)
        return suppression, after

    def add_many(self, suppressions: Sequence[Suppression], under: Import, shard: int) -> Mapping[str, Client | None]:
        """Store suppressions, as many a transaction as it takes, each with its share of the import's counters."""
        phones = [one.phone for one in suppressions]
        known = self._known(phones)
        clients = self._clients.find_by_phones(phones)
        additions = {
            one.phone: self._addition(one, clients.get(one.phone)) for one in suppressions if one.phone not in known
        }
        counted = (Counted(phone, items, Tally(created=1)) for phone, (items, _) in additions.items())
        stale = set(self._counted_changes.write(counted, under, shard))
        added = {phone: after for phone, (_, after) in additions.items() if phone not in stale}
        return {phone: clients.get(phone) for phone in known} | added

    def remove(self, suppression: Suppression) -> Client | None:
        """Delete a suppression, and have the client who has the phone know of it."""
        delete = {
            "TableName": self._suppressions,
            "Key": suppression_key(suppression.phone),
            "ConditionExpression": "attribute_exists(phone)",
        }
        client = self._clients.find_by_phone(suppression.phone)
        items, after = self._told(suppression.phone, client, suppressed=False)
        self._write([{"Delete": delete}, *items])
        return after

    def _known(self, phones: Collection[str]) -> Mapping[str, Suppression]:
        items = self._dynamodb.get_many(self._suppressions, [suppression_key(phone) for phone in phones])
        return {known.phone: known for known in map(_CODEC.decode, items)}

    def _addition(self, suppression: Suppression, client: Client | None) -> tuple[list[Item], Client | None]:
        """List what a transaction does to suppress a phone; also what becomes of the client who has it."""
        put = {
            "TableName": self._suppressions,
            "Item": _CODEC.encode(suppression),
            "ConditionExpression": "attribute_not_exists(phone)",
        }
        items, after = self._told(suppression.phone, client, suppressed=True)
        return [{"Put": put}, *items], after

    def _told(self, phone: str, client: Client | None, *, suppressed: bool) -> tuple[list[Item], Client | None]:
        """List what a transaction does for the client who has the phone to know; also what becomes of that client."""
        if client is None:
            return [self._clients.nobody_has(phone)], None
        after = replace(client, suppressed=suppressed, version=client.version + 1)
        return self._clients.changes(client, after), after

    def _write(self, items: list[Item]) -> None:
        if self._dynamodb.write(items) is not None:
            raise StaleError("the suppression, or the client who has the phone, has changed since it was read")
