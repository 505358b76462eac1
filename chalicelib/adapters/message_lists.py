"""Which messages a mailing or a client has, by index (port: `MessageLists`)."""

from typing import Any

from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import MessageItem
from chalicelib.domain.mailing import Mailing
from chalicelib.ports import Page


class DynamoMessageLists:
    """The indexes of the messages table; they hold keys only, and run behind the table by a moment."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._messages = MessageItem.Meta.table_name

    def of_mailing(self, mailing: Mailing, after: str | None, limit: int) -> Page[int]:
        """List ids of a mailing's messages, shard after shard. `after` is `<shard>:<last id>`, the id may be empty."""
        first, _, last = (after or "0:").partition(":")
        ids: list[int] = []
        for shard in range(int(first), mailing.message_shards):
            page = self.of_part(mailing.message_parts[shard], last, limit - len(ids))
            ids += page.items
            if page.next:
                return Page(ids, f"{shard}:{page.next}")
            if len(ids) == limit and shard + 1 < mailing.message_shards:
                return Page(ids, f"{shard + 1}:")
            last = ""
        return Page(ids)

    def of_part(self, part: str, after: str | None, limit: int) -> Page[int]:
        """List ids of one partition. `after` is the last id."""
        return self._query("by_mailing", "mailing_shard", part, after or "", limit)

    def of_client(self, client_id: str, after: str | None, limit: int) -> Page[int]:
        """List ids of a client's messages. `after` is the last id."""
        return self._query("by_client", "client_id", client_id, after or "", limit)

    def _query(self, index: str, key: str, value: str, after: str, limit: int) -> Page[int]:
        query: dict[str, Any] = {
            "TableName": self._messages,
            "IndexName": index,
            "KeyConditionExpression": f"{key} = :value",
            "ExpressionAttributeValues": {":value": {"S": value}},
            "Limit": limit,
        }
        if after:
            query["ExclusiveStartKey"] = {key: {"S": value}, "id": {"N": after}}
        with translated():
            answer = self._dynamodb.client.query(**query)
        last: Item = answer.get("LastEvaluatedKey", {})
        return Page([int(item["id"]["N"]) for item in answer["Items"]], last["id"]["N"] if last else None)
