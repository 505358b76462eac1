"""The segments of mailings (port: `SegmentRepository`)."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.mailing_repository import to_item
from chalicelib.adapters.tables import MailingItem, SegmentItem
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.segment import Segment
from chalicelib.errors import StaleError

DUE_SHARDS = 4


def _build(**attributes: Any) -> Segment:  # noqa: ANN401 - attributes of a segment by name
    return Segment(**attributes | {"parts": tuple(attributes["parts"])})


def _due_shard(segment: Segment) -> Mapping[str, str]:
    # By segment, too: the segments of one large mailing come due together.
    shard = zlib.crc32(f"{segment.mailing_id}{segment.segment}".encode()) % DUE_SHARDS
    return {} if segment.done else {"due_shard": str(shard)}


_CODEC = ItemCodec(SegmentItem, Segment, build=_build, extra=_due_shard)


class DynamoSegmentRepository:
    """Segments in the segments table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._segments = SegmentItem.Meta.table_name
        self._mailings = MailingItem.Meta.table_name

    def change_mailing(self, before: Mailing, after: Mailing, segments: Sequence[Segment]) -> None:
        """Store the change of a mailing and what it orders (at most 99 segments) in one transaction."""
        mailing = {
            "TableName": self._mailings,
            "Item": to_item(after).to_dynamodb_dict(),
            "ConditionExpression": "version = :read",
            "ExpressionAttributeValues": {":read": {"N": str(before.version)}},
        }
        puts = [{"TableName": self._segments, "Item": _CODEC.encode(segment)} for segment in segments]
        if self._dynamodb.write([{"Put": put} for put in [mailing, *puts]]):
            raise StaleError("the mailing has changed since it was read")

    def get(self, mailing_id: str, segment: str) -> Segment | None:
        """Read a segment, consistently."""
        key = {"mailing_id": {"S": mailing_id}, "segment": {"S": segment}}
        items = self._dynamodb.get_many(self._segments, [key])
        return _CODEC.decode(items[0]) if items else None

    def of_mailing(self, mailing_id: str) -> Sequence[Segment]:
        """Read all segments of a mailing, consistently: some kilobytes, and a call more after some hundred changes."""
        query: Any = {
            "TableName": self._segments,
            "KeyConditionExpression": "mailing_id = :mailing",
            "ExpressionAttributeValues": {":mailing": {"S": mailing_id}},
            "ConsistentRead": True,
        }
        found: list[Segment] = []
        while True:
            with translated():
                answer = self._dynamodb.client.query(**query)
            found += map(_CODEC.decode, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return found
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def save(self, segment: Segment) -> None:
        """Store how far a segment is. A segment that is done stays done, whoever else is still at it."""
        condition = {} if segment.done else {"ConditionExpression": "attribute_exists(due_at)"}
        put: Any = {"TableName": self._segments, "Item": _CODEC.encode(segment), **condition}
        with translated():
            try:
                self._dynamodb.client.put_item(**put)
            except self._dynamodb.client.exceptions.ConditionalCheckFailedException:
                return

    def due(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """List (mailing id, segment) of those at which somebody must look."""
        found: list[Item] = []
        for shard in range(DUE_SHARDS):
            with translated():
                answer = self._dynamodb.client.query(
                    TableName=self._segments,
                    IndexName="by_due",
                    KeyConditionExpression="due_shard = :shard AND due_at <= :before",
                    ExpressionAttributeValues={
                        ":shard": {"S": str(shard)},
                        ":before": _CODEC.value("due_at", before),
                    },
                    Limit=limit,
                )
            found += answer["Items"]
        return [(item["mailing_id"]["S"], item["segment"]["S"]) for item in found[:limit]]
