"""Clients, their unique phones and their places in the audience (ports: `ClientRepository`, `AudienceRepository`).

A client is one item, a lock item that keeps its phone unique, and a membership in up to three parts of the
audience. One transaction changes them all, so none is ever without the others. A deleted client leaves none of
them behind, and with them no phone.

Whether its phone is suppressed, a client knows by itself: nobody has to look that up before a request. A transaction
by which a client gets a phone checks that it is so, and one that suppresses a phone, or lifts that, changes the client.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.counted_changes import Counted, CountedChanges
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import AudienceItem, ClientItem, SuppressionItem
from chalicelib.domain.audience import Member, parts_of
from chalicelib.domain.bulk_import import Import, Tally
from chalicelib.domain.client import Client, ClientChange
from chalicelib.domain.suppression import part_of
from chalicelib.errors import ConflictError, StaleError
from chalicelib.ports import Page

PHONE_TAKEN = "another client has this phone"
STALE = "the client has changed since it was read"

_CLIENTS = ItemCodec(ClientItem, Client, build=partial(Client, tag=None))
_MEMBERS = ItemCodec(AudienceItem, Member, build=partial(Member, tag=None))
_NEW = {"ConditionExpression": "attribute_not_exists(id)"}
_FAILED = "ConditionalCheckFailed"
# Most phones are not suppressed. A guess that is wrong costs a transaction that does nothing; asking first would cost
# each client a read, and could be wrong as well by the time it is written.
_GUESSES = (False, True, False, True)


class DynamoClientRepository:
    """Clients in the clients and audience tables; see the ports for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._counted_changes = CountedChanges(dynamodb)
        self._clients = ClientItem.Meta.table_name
        self._audience = AudienceItem.Meta.table_name
        self._suppressions = SuppressionItem.Meta.table_name

    def create(self, client: Client) -> Client:
        """Store a client, its phone lock and its memberships."""
        return self._with_phone(client, self._creation)

    def get(self, client_id: str) -> Client | None:
        """Read a client, consistently."""
        return self.get_many([client_id]).get(client_id)

    def get_many(self, client_ids: Collection[str]) -> Mapping[str, Client]:
        """Read clients, consistently: 100 a call."""
        keys = [{"id": {"S": client_id}} for client_id in set(client_ids)]
        items = self._dynamodb.get_many(self._clients, keys)
        # A lock item lies in the same table; it is no client, whoever asks for its id.
        return {client.id: client for client in (_CLIENTS.decode(item) for item in items if "phone" in item)}

    def find_by_phone(self, phone: str) -> Client | None:
        """Read the client with this phone, consistently, by way of its lock."""
        return self.find_by_phones([phone]).get(phone)

    def find_by_phones(self, phones: Collection[str]) -> Mapping[str, Client]:
        """Read the clients with these phones, consistently, by way of their locks: 100 a call, and as many again."""
        wanted = set(phones)
        locks = self._dynamodb.get_many(self._clients, [{"id": {"S": _lock_id(phone)}} for phone in wanted])
        clients = self.get_many([lock["client_id"]["S"] for lock in locks])
        return {client.phone: client for client in clients.values() if client.phone in wanted}

    def replace(self, before: Client, after: Client) -> Client:
        """Change a client, and its lock and memberships as far as the change concerns them."""
        if before.phone != after.phone:
            return self._with_phone(
                after, lambda stored: [*self._phone_of(stored), *self.changes(before, stored), self._unlock(before)]
            )
        self._write(self.changes(before, after))
        return after

    def change_many(self, changes: Sequence[ClientChange], under: Import, shard: int) -> Sequence[ClientChange]:
        """Store changes, as many a transaction as it takes, each with its share of the import's counters."""
        suppressed = self._suppressed({change.after.phone for change in changes if change.before is None})
        counted = (self._counted(change, suppressed) for change in changes)
        return self._counted_changes.write(counted, under, shard)

    def _counted(self, change: ClientChange, suppressed: Collection[str]) -> Counted[ClientChange]:
        if change.before:
            items = self.changes(change.before, change.after)
        else:
            items = self._creation(replace(change.after, suppressed=change.after.phone in suppressed))
        return Counted(change, items, Tally(int(change.before is None), change.rows))

    def delete(self, client: Client) -> None:
        """Remove a client, its phone lock and its memberships."""
        row = {"Delete": {"TableName": self._clients, "Key": {"id": {"S": client.id}}, **_unchanged(client)}}
        self._write([row, self._unlock(client), *self._left(client, parts_of(client))])

    def changes(self, before: Client, after: Client) -> list[Item]:
        """List what a transaction writes to change a client and its memberships, if it is still as it was."""
        items: list[Item] = [
            {"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(after), **_unchanged(before)}}
        ]
        if Member.of(before) != Member.of(after):
            items += self._left(before, set(parts_of(before)) - set(parts_of(after)))
            items += self._joined(after)
        return items

    def nobody_has(self, phone: str) -> Item:
        """Make of it what a transaction checks."""
        key = {"id": {"S": _lock_id(phone)}}
        return {"ConditionCheck": {"TableName": self._clients, "Key": key, **_NEW}}

    def members(self, part: str, after: str | None, limit: int) -> Page[Member]:
        """Read members of a part in order of client id, consistently."""
        query: dict[str, Any] = {
            "TableName": self._audience,
            "KeyConditionExpression": "part = :part",
            "ExpressionAttributeValues": {":part": {"S": part}},
            "ConsistentRead": True,
            "Limit": limit,
        }
        if after is not None:
            query["ExclusiveStartKey"] = {"part": {"S": part}, "client_id": {"S": after}}
        with translated():
            answer = self._dynamodb.client.query(**query)
        last = answer.get("LastEvaluatedKey")
        return Page([_MEMBERS.decode(item) for item in answer["Items"]], last["client_id"]["S"] if last else None)

    def count(self, part: str, after: str | None) -> int:
        """Count the members of a part that come after this one: a megabyte of them a call, none of them sent here."""
        query: dict[str, Any] = {
            "TableName": self._audience,
            "KeyConditionExpression": "part = :part",
            "ExpressionAttributeValues": {":part": {"S": part}},
            "Select": "COUNT",
        }
        counted, last = 0, after
        while True:
            if last is not None:
                query["ExclusiveStartKey"] = {"part": {"S": part}, "client_id": {"S": last}}
            with translated():
                answer = self._dynamodb.client.query(**query)
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return counted
            last = answer["LastEvaluatedKey"]["client_id"]["S"]

    def _with_phone(self, client: Client, items: Callable[[Client], list[Item]]) -> Client:
        """Write a client who gets a phone; returns it suppressed if the phone is, in the moment of the write.

        `items` begin with those of `_phone_of`.
        """
        for suppressed in _GUESSES:
            stored = replace(client, suppressed=suppressed)
            reasons = self._dynamodb.write(items(stored))
            if reasons is None:
                return stored
            phone_taken, _, *others = (reason.get("Code") == _FAILED for reason in reasons)
            if phone_taken:
                raise ConflictError(PHONE_TAKEN)
            if any(others):
                break
        raise StaleError(STALE)

    def _creation(self, client: Client) -> list[Item]:
        row = {"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(client), **_NEW}}
        return [*self._phone_of(client), row, *self._joined(client)]

    def _phone_of(self, client: Client) -> list[Item]:
        """List what a transaction does for a new phone: locks it, and checks that it is suppressed, or is not."""
        condition = f"attribute_{'' if client.suppressed else 'not_'}exists(phone)"
        key = suppression_key(client.phone)
        return [
            {"Put": {"TableName": self._clients, "Item": _lock(client), **_NEW}},
            {"ConditionCheck": {"TableName": self._suppressions, "Key": key, "ConditionExpression": condition}},
        ]

    def _suppressed(self, phones: Collection[str]) -> set[str]:
        """Tell which of these phones are suppressed."""
        items = self._dynamodb.get_many(self._suppressions, [suppression_key(phone) for phone in phones])
        return {item["phone"]["S"] for item in items}

    def _write(self, items: list[Item]) -> None:
        if self._dynamodb.write(items) is not None:
            raise StaleError(STALE)

    def _unlock(self, client: Client) -> Item:
        return {
            "Delete": {
                "TableName": self._clients,
                "Key": {"id": {"S": _lock_id(client.phone)}},
                "ConditionExpression": "client_id = :client",
                "ExpressionAttributeValues": {":client": {"S": client.id}},
            }
        }

    def _joined(self, client: Client) -> Iterator[Item]:
        member = _MEMBERS.encode(Member.of(client))
        for part in parts_of(client):
            yield {"Put": {"TableName": self._audience, "Item": {"part": {"S": part}, **member}}}

    def _left(self, client: Client, parts: Collection[str]) -> Iterator[Item]:
        for part in parts:
            key = {"part": {"S": part}, "client_id": {"S": client.id}}
            yield {"Delete": {"TableName": self._audience, "Key": key}}


def suppression_key(phone: str) -> Item:
    """Make the key under which the suppression of a phone is stored."""
    return {"part": {"S": part_of(phone)}, "phone": {"S": phone}}


def _lock_id(phone: str) -> str:
    return f"phone#{phone}"


def _lock(client: Client) -> Item:
    return {"id": {"S": _lock_id(client.phone)}, "client_id": {"S": client.id}}


def _unchanged(before: Client) -> Item:
    return {
        "ConditionExpression": "version = :read",
        "ExpressionAttributeValues": {":read": _CLIENTS.value("version", before.version)},
    }
