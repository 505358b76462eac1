"""The counters of mailings, added up (port: `CounterRepository`)."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chalicelib.adapters.counter_updates import MINUTE, MINUTE_FORMAT, TOTAL, add_repair
from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import CounterItem
from chalicelib.domain.message import Status
from chalicelib.errors import StaleError
from chalicelib.ports import MailingCounters

_DECLARED = CounterItem.get_attributes()


class DynamoCounterRepository:
    """Counters in the stats table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._stats = CounterItem.Meta.table_name

    def totals(self, mailing_id: str) -> MailingCounters:
        """Add up the counters of a mailing, consistently: one query of at most 65 small items."""
        shards = list(self._items(mailing_id, TOTAL))
        counts: Counter[str] = Counter()
        for shard in shards:
            counts.update(_counts(shard))
        return MailingCounters(
            counts,
            min(_moments(shards, "first_sent_at"), default=None),
            max(_moments(shards, "last_sent_at"), default=None),
            sum(int(shard["repairs"]["N"]) for shard in shards if "repairs" in shard),
        )

    def per_minute(self, mailing_id: str, limit: int) -> Sequence[tuple[datetime, Counter[str]]]:
        """Add up the counters of the latest minutes, in order of time: at most 64 small items a minute."""
        minutes: dict[str, Counter[str]] = {}
        for shard in self._items(mailing_id, MINUTE, newest_first=True):
            minute = shard["counter"]["S"].removeprefix(MINUTE).partition("#")[0]
            if minute not in minutes and len(minutes) == limit:
                break
            minutes.setdefault(minute, Counter()).update(_counts(shard))
        return [
            (datetime.strptime(minute, MINUTE_FORMAT).replace(tzinfo=UTC), counts)
            for minute, counts in sorted(minutes.items())
        ]

    def sent_since(self, mailing_id: str, moment: datetime) -> int:
        """Add up what was sent since this minute: a query of at most 64 small items a minute."""
        return sum(_counts(shard)[Status.SENT] for shard in self._items(mailing_id, MINUTE, first=_minute(moment)))

    def sent_between(self, mailing_id: str, moments: Sequence[datetime]) -> Sequence[int]:
        """Add up what was sent between these minutes: one query over them, of at most 64 small items a minute."""
        minutes = [_minute(moment) for moment in moments]
        sent = [0] * (len(minutes) - 1)
        for shard in self._items(mailing_id, MINUTE, first=minutes[0], last=minutes[-1]):
            sent[bisect_right(minutes, shard["counter"]["S"]) - 1] += _counts(shard)[Status.SENT]
        return sent

    def adjust(self, mailing_id: str, changes: Mapping[str, int], repairs: int) -> None:
        """Add to counters in one write: a transaction, because botocore may send a plain `ADD` twice."""
        if self._dynamodb.write([add_repair(self._stats, mailing_id, changes, repairs)]):
            raise StaleError("somebody else has repaired these counters meanwhile")

    def _items(
        self,
        mailing_id: str,
        kind: str,
        *,
        newest_first: bool = False,
        first: str | None = None,
        last: str | None = None,
    ) -> Iterator[Item]:
        query: dict[str, Any] = {
            "TableName": self._stats,
            "KeyConditionExpression": "mailing_id = :mailing AND #counter BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#counter": "counter"},
            "ExpressionAttributeValues": {
                ":mailing": {"S": mailing_id},
                ":first": {"S": first or kind},
                ":last": {"S": last or f"{kind}~"},  # behind all that begin so
            },
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        while True:
            with translated():
                answer = self._dynamodb.client.query(**query)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _minute(moment: datetime) -> str:
    """Write what the counters of a minute begin with: as text it comes before each of them."""
    return f"{MINUTE}{moment.astimezone(UTC).strftime(MINUTE_FORMAT)}"


def _counts(shard: Item) -> Mapping[str, int]:
    return {name: int(value["N"]) for name, value in shard.items() if name not in _DECLARED}


def _moments(shards: Sequence[Item], name: str) -> Iterator[datetime]:
    return (_DECLARED[name].deserialize(shard[name]["N"]) for shard in shards if name in shard)
