"""Suppressions, each changed in one transaction with the client who has the phone (port: `SuppressionRepository`)."""

from dataclasses import replace
from typing import Any

from chalicelib.adapters.client_repository import DynamoClientRepository, suppression_key
from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import SuppressionItem
from chalicelib.domain.client import Client
from chalicelib.domain.suppression import PARTS, Suppression, part_of
from chalicelib.errors import StaleError
from chalicelib.ports import Page

_CODEC = ItemCodec(SuppressionItem, Suppression, extra=lambda one: {"part": part_of(one.phone)})


class DynamoSuppressionRepository:
    """Suppressions in a table of their own; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB, clients: DynamoClientRepository) -> None:
        self._dynamodb = dynamodb
        self._clients = clients
        self._suppressions = SuppressionItem.Meta.table_name

    def get(self, phone: str) -> Suppression | None:
        """Read the suppression of a phone, consistently."""
        items = self._dynamodb.get_many(self._suppressions, [suppression_key(phone)])
        return _CODEC.decode(items[0]) if items else None

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
        put = {
            "TableName": self._suppressions,
            "Item": _CODEC.encode(suppression),
            "ConditionExpression": "attribute_not_exists(phone)",
        }
        return suppression, self._write({"Put": put}, suppression.phone, client, suppressed=True)

    def remove(self, suppression: Suppression) -> Client | None:
        """Delete a suppression, and have the client who has the phone know of it."""
        delete = {
            "TableName": self._suppressions,
            "Key": suppression_key(suppression.phone),
            "ConditionExpression": "attribute_exists(phone)",
        }
        client = self._clients.find_by_phone(suppression.phone)
        return self._write({"Delete": delete}, suppression.phone, client, suppressed=False)

    def _write(self, change: Item, phone: str, client: Client | None, *, suppressed: bool) -> Client | None:
        if client is None:
            items, after = [self._clients.nobody_has(phone)], None
        else:
            after = replace(client, suppressed=suppressed, version=client.version + 1)
            items = self._clients.changes(client, after)
        if self._dynamodb.write([change, *items]) is not None:
            raise StaleError("the suppression, or the client who has the phone, has changed since it was read")
        return after
