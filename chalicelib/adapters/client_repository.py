"""Clients, their unique phones and their places in the audience (ports: `ClientRepository`, `AudienceRepository`).

A client is one item, a lock item that keeps its phone unique, and a membership in up to three parts of the
audience. One transaction changes them all, so none is ever without the others. A deleted client leaves none of
them behind, and with them no phone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import MAX_TRANSACTION_ITEMS, DynamoDB, Item, translated
from chalicelib.adapters.import_repository import counting
from chalicelib.adapters.tables import AudienceItem, ClientItem
from chalicelib.domain.audience import Member, parts_of
from chalicelib.domain.bulk_import import Import, Tally
from chalicelib.domain.client import Client, ClientChange
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
        self._write(self._creation(client), new_lock=True)

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

    def replace(self, before: Client, after: Client) -> None:
        """Change a client, and its lock and memberships as far as the change concerns them."""
        items = self._replacement(before, after)
        if before.phone == after.phone:
            self._write(items)
        else:
            self._write([self._new_lock(after), *items, self._unlock(before)], new_lock=True)

    def change_many(self, changes: Sequence[ClientChange], under: Import, shard: int) -> Sequence[ClientChange]:
        """Store changes, as many a transaction as it takes, each with its share of the import's counters."""
        stale: list[ClientChange] = []
        pending: list[tuple[ClientChange, list[Item]]] = []
        room = MAX_TRANSACTION_ITEMS - 1  # one is the counter
        for change in changes:
            items = self._replacement(change.before, change.after) if change.before else self._creation(change.after)
            if sum(len(others) for _, others in pending) + len(items) > room:
                stale += self._change_together(pending, under, shard)
                pending = []
            pending.append((change, items))
        return [*stale, *self._change_together(pending, under, shard)]

    def _change_together(
        self, pending: Sequence[tuple[ClientChange, list[Item]]], under: Import, shard: int
    ) -> Sequence[ClientChange]:
        """Store changes in one transaction, without those that it is refused for; returns these."""
        stale: list[ClientChange] = []
        while pending:
            changes = [change for change, _ in pending]
            tally = Tally(sum(change.before is None for change in changes), sum(change.rows for change in changes))
            items = [item for _, of_one in pending for item in of_one]
            reasons = self._dynamodb.write([*items, counting(under, shard, tally)])
            if reasons is None:
                break
            each = iter(reasons)
            refused = [
                any(reason.get("Code") == "ConditionalCheckFailed" for reason in list(islice(each, len(of_one))))
                for _, of_one in pending
            ]
            stale += [change for change, is_refused in zip(changes, refused, strict=True) if is_refused]
            pending = [one for one, is_refused in zip(pending, refused, strict=True) if not is_refused]
        return stale

    def delete(self, client: Client) -> None:
        """Remove a client, its phone lock and its memberships."""
        row = {"Delete": {"TableName": self._clients, "Key": {"id": {"S": client.id}}, **_unchanged(client)}}
        self._write([row, self._unlock(client), *self._left(client, parts_of(client))])

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

    def _creation(self, client: Client) -> list[Item]:
        row = {"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(client), **_NEW}}
        return [self._new_lock(client), row, *self._joined(client)]

    def _replacement(self, before: Client, after: Client) -> list[Item]:
        """List what changes apart from the lock."""
        items = [{"Put": {"TableName": self._clients, "Item": _CLIENTS.encode(after), **_unchanged(before)}}]
        if (before.operator_code, before.tag) != (after.operator_code, after.tag):
            items += self._left(before, set(parts_of(before)) - set(parts_of(after)))
            items += self._joined(after)
        return items

    def _write(self, items: Sequence[Item], *, new_lock: bool = False) -> None:
        """Write in one transaction; the first item is the lock of a new phone, if there is one."""
        reasons = self._dynamodb.write(items)
        if reasons is None:
            return
        if new_lock and reasons[0].get("Code") == "ConditionalCheckFailed":
            raise ConflictError(PHONE_TAKEN)
        raise StaleError(STALE)

    def _new_lock(self, client: Client) -> Item:
        return {"Put": {"TableName": self._clients, "Item": _lock(client), **_NEW}}

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
