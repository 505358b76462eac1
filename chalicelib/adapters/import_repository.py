"""Imports (port: `ImportRepository`): a row each, counters, and the rows that were refused, some hundred an item."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import ImportItem
from chalicelib.domain.bulk_import import Import, ImportKind, ImportStatus, Refusal, Tally
from chalicelib.errors import StaleError
from chalicelib.ports import Page

COUNTER_SHARDS = 8
_ROW = "import"
_DUE_SHARD = "0"  # one is enough: there are few imports at a time
_LAST = "refused#~"  # behind all digits


def _build(**attributes: Any) -> Import:  # noqa: ANN401 - attributes of an import by name
    typed = {
        "kind": ImportKind(attributes["kind"]),
        "status": ImportStatus(attributes["status"]),
        "columns": tuple(attributes["columns"]),
    }
    return Import(**attributes | typed)


def _extra(stored: Import) -> dict[str, str]:
    return {"part": _ROW} | ({} if stored.ended else {"due_shard": _DUE_SHARD})


_CODEC = ItemCodec(ImportItem, Import, build=_build, extra=_extra)


class DynamoImportRepository:
    """Imports in the imports table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._table = ImportItem.Meta.table_name

    def create(self, new: Import) -> None:
        """Store an import."""
        self._write(new, "attribute_not_exists(id)", {}, ())

    def get(self, import_id: str) -> Import | None:
        """Read an import, consistently."""
        items = self._dynamodb.get_many(self._table, [_key(import_id, _ROW)])
        return _CODEC.decode(items[0]) if items else None

    def replace(self, before: Import, after: Import, refusals: Sequence[Refusal] = ()) -> None:
        """Store how far an import is, and which rows were refused on the way."""
        self._write(after, "version = :read", {":read": _CODEC.value("version", before.version)}, refusals)

    def tally(self, import_id: str) -> Tally:
        """Add up the counters, consistently."""
        keys = [_key(import_id, _counter(shard)) for shard in range(COUNTER_SHARDS)]
        items = self._dynamodb.get_many(self._table, keys)
        return Tally(*(sum(int(item[name]["N"]) for item in items) for name in ("created", "changed")))

    def refusals(self, import_id: str, after: str | None, limit: int) -> Page[Refusal]:
        """List refused rows in their order; `next` is the `after` to go on with."""
        line = int(after or 0)
        query: Any = {
            "TableName": self._table,
            "KeyConditionExpression": "id = :import AND #part BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#part": "part"},
            "ExpressionAttributeValues": {
                ":import": {"S": import_id},
                ":first": {"S": _refused(line + 1)},
                ":last": {"S": _LAST},
            },
            "ConsistentRead": True,
            "Limit": limit,  # each item has one row at least
        }
        found: list[Refusal] = []
        while len(found) <= limit:
            with translated():
                answer = self._dynamodb.client.query(**query)
            rows = (Refusal(*row) for item in answer["Items"] for row in json.loads(item["refusals"]["S"]))
            found += islice((row for row in rows if row.line > line), limit + 1)
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        shown = found[:limit]
        return Page(shown, str(shown[-1].line) if len(found) > limit else None)

    def due(self, before: datetime, limit: int) -> Sequence[str]:
        """List imports at which somebody must look."""
        with translated():
            answer = self._dynamodb.client.query(
                TableName=self._table,
                IndexName="by_due",
                KeyConditionExpression="due_shard = :shard AND due_at <= :before",
                ExpressionAttributeValues={
                    ":shard": {"S": _DUE_SHARD},
                    ":before": _CODEC.value("due_at", before),
                },
                Limit=limit,
            )
        return [item["id"]["S"] for item in answer["Items"]]

    def _write(self, row: Import, condition: str, values: Item, refusals: Sequence[Refusal]) -> None:
        put: Item = {"TableName": self._table, "Item": _CODEC.encode(row), "ConditionExpression": condition}
        items: list[Item] = [{"Put": put | ({"ExpressionAttributeValues": values} if values else {})}]
        if refusals:
            refused = {
                **_key(row.id, _refused(refusals[-1].line)),
                "refusals": {"S": json.dumps([[one.line, one.field, one.reason] for one in refusals])},
                "expires_at": _CODEC.value("expires_at", row.expires_at),
            }
            items.append({"Put": {"TableName": self._table, "Item": refused}})
        if self._dynamodb.write(items):
            raise StaleError("the import has changed since it was read")


def counting(of: Import, shard: int, tally: Tally) -> Item:
    """Make the item of a transaction that counts what its other items do, under an import.

    Whoever works at the same time takes another shard: transactions that meet at one item refuse each other.
    """
    return {
        "Update": {
            "TableName": ImportItem.Meta.table_name,
            "Key": _key(of.id, _counter(shard % COUNTER_SHARDS)),
            "UpdateExpression": "SET expires_at = :expires ADD created :created, changed :changed",
            "ExpressionAttributeValues": {
                ":expires": _CODEC.value("expires_at", of.expires_at),
                ":created": _CODEC.value("created", tally.created),
                ":changed": _CODEC.value("changed", tally.changed),
            },
        }
    }


def _key(import_id: str, part: str) -> Item:
    return {"id": {"S": import_id}, "part": {"S": part}}


def _counter(shard: int) -> str:
    return f"counts#{shard}"


def _refused(last_line: int) -> str:
    return f"refused#{last_line:010d}"
