"""Clients, their unique phones and their places in the audience (ports: `ClientRepository`, `AudienceRepository`).

A client is one item, a lock item that keeps its phone unique, and a membership in up to three parts of the
audience. One transaction changes them all, so none is ever without the others. A deleted client leaves none of
them behind, and with them no phone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import AudienceItem, ClientItem
from chalicelib.domain.audience import Member, parts_of
from chalicelib.domain.client import Client
from chalicelib.errors import ConflictError, StaleError
from chalicelib.ports import Page

PHONE_TAKEN = "another client has this phone"
STALE = "the client has changed since it was read"

_CLIENTS = ItemCodec(ClientItem, Client, build=partial(Client, tag=None))
_MEMBERS = ItemCodec(AudienceItem, Member, build=partial(Member, tag=None))
_NEW = {"ConditionExpression": "attribute_not_exists(id)"}


class DynamoClientRepository:
    """Clients in the clients and audience tables; see the ports for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._clients = ClientItem.Meta.table_name
        self._audience = AudienceItem.Meta.table_name

    def create(self, client: Client) -> None:
        """Store a client, its phone lock and its memberships."""
        lock = {"Put": {"TableName": self._clients, "Item": _lock(client), **_NEW}}
        row = {"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(client), **_NEW}}
        self._write(lock, row, self._joined(client))

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
        locks = self._dynamodb.get_many(self._clients, [{"id": {"S": _lock_id(phone)}}])
        client = self.get(locks[0]["client_id"]["S"]) if locks else None
        return client if client and client.phone == phone else None

    def replace(self, before: Client, after: Client) -> None:
        """Change a client, and its lock and memberships as far as the change concerns them."""
        row = {"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(after), **_unchanged(before)}}
        others: list[Item] = []
        if (before.operator_code, before.tag) != (after.operator_code, after.tag):
            others += self._left(before, set(parts_of(before)) - set(parts_of(after)))
            others += self._joined(after)
        if before.phone == after.phone:
            self._write(None, row, others)
        else:
            others.append(self._unlock(before))
            self._write({"Put": {"TableName": self._clients, "Item": _lock(after), **_NEW}}, row, others)

    def delete(self, client: Client) -> None:
        """Remove a client, its phone lock and its memberships."""
        row = {"Delete": {"TableName": self._clients, "Key": {"id": {"S": client.id}}, **_unchanged(client)}}
        self._write(None, row, [self._unlock(client), *self._left(client, parts_of(client))])

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

    def _write(self, new_lock: Item | None, row: Item, others: Sequence[Item] | Iterator[Item]) -> None:
        items = [*([new_lock] if new_lock else []), row, *others]
        reasons = self._dynamodb.write(items)
        if reasons is None:
            return
        if new_lock and reasons[0].get("Code") == "ConditionalCheckFailed":
            raise ConflictError(PHONE_TAKEN)
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
        member = _MEMBERS.encode(Member(client.id, client.operator_code, client.tag))
        for part in parts_of(client):
            yield {"Put": {"TableName": self._audience, "Item": {"part": {"S": part}, **member}}}

    def _left(self, client: Client, parts: Collection[str]) -> Iterator[Item]:
        for part in parts:
            key = {"part": {"S": part}, "client_id": {"S": client.id}}
            yield {"Delete": {"TableName": self._audience, "Key": key}}


def _lock_id(phone: str) -> str:
    return f"phone#{phone}"


def _lock(client: Client) -> Item:
    return {"id": {"S": _lock_id(client.phone)}, "client_id": {"S": client.id}}


def _unchanged(before: Client) -> Item:
    return {
        "ConditionExpression": "version = :read",
        "ExpressionAttributeValues": {":read": _CLIENTS.value("version", before.version)},
    }
