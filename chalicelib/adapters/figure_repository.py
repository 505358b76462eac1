"""What is kept for those who watch Vestnik (port: `FigureRepository`): a few items under one key of the stats table."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.model_errors import translated_model
from chalicelib.adapters.tables import CounterItem
from chalicelib.domain.figures import DriftCheck, Record, Rest, Watch

SERVICE = "service"
_TRAFFIC, _WATCH, _DRIFT, _REST = "traffic", "watch", "drift", "rest"
_RECEIVED = "received."
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DECLARED = CounterItem.get_attributes()


class DynamoFigureRepository:
    """See the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._stats = CounterItem.Meta.table_name

    def add(
        self, changes: Counter[str], received: Mapping[str, datetime], token_expires_at: datetime | None = None
    ) -> None:
        """Add to counts: one write, and one write unit as long as the item has at most 1 KiB."""
        stored = {f"{_RECEIVED}{queue}": {"N": str(_written(moment))} for queue, moment in received.items()}
        if token_expires_at:
            stored["token_expires_at"] = {"N": str(_written(token_expires_at))}
        counted = {name: {"N": str(change)} for name, change in changes.items() if change}
        assigned = {f"#{number}": name for number, name in enumerate([*counted, *stored])}
        adds = [f"{name} :{name[1:]}" for name, of in assigned.items() if of in counted]
        sets = [f"{name} = :{name[1:]}" for name, of in assigned.items() if of in stored]
        update: Any = {
            "TableName": self._stats,
            "Key": {"mailing_id": {"S": SERVICE}, "counter": {"S": _TRAFFIC}},
            "UpdateExpression": " ".join(
                f"{verb} {', '.join(parts)}" for verb, parts in (("ADD", adds), ("SET", sets)) if parts
            ),
            "ExpressionAttributeNames": assigned,
            "ExpressionAttributeValues": {f":{name[1:]}": (counted | stored)[of] for name, of in assigned.items()},
        }
        with translated():
            self._dynamodb.client.update_item(**update)

    def read(self) -> Record:
        """Read all of it, consistently: one query of four small items."""
        query: Any = {
            "TableName": self._stats,
            "KeyConditionExpression": "mailing_id = :service",
            "ExpressionAttributeValues": {":service": {"S": SERVICE}},
            "ConsistentRead": True,
        }
        with translated():
            answer = self._dynamodb.client.query(**query)
        items = {item["counter"]["S"]: item for item in answer["Items"]}
        traffic: Item = items.get(_TRAFFIC, {})
        numbers = {name: int(value["N"]) for name, value in traffic.items() if "N" in value}
        expires_at = numbers.pop("token_expires_at", None)
        watch, drift, rest = (_kept(items.get(name)) for name in (_WATCH, _DRIFT, _REST))
        return Record(
            counts=Counter({name: number for name, number in numbers.items() if not name.startswith(_RECEIVED)}),
            received={
                name.removeprefix(_RECEIVED): _read(number)
                for name, number in numbers.items()
                if name.startswith(_RECEIVED)
            },
            token_expires_at=None if expires_at is None else _read(expires_at),
            watch=watch
            and Watch(
                _read(watch["seen_at"]),
                {queue: _read(moment) for queue, moment in watch["not_empty_since"].items()},
                Counter(watch["told"]),
            ),
            drift=drift and DriftCheck(_read(drift["checked_at"]), drift["drift"], drift["verdicts"]),
            rest=rest and Rest(_read(rest["ended_before"]), rest["messages"]),
        )

    def save_watch(self, watch: Watch) -> None:
        """Store what the dispatcher's minute saw."""
        since = {queue: _written(moment) for queue, moment in watch.not_empty_since.items()}
        _keep(_WATCH, {"seen_at": _written(watch.seen_at), "not_empty_since": since, "told": dict(watch.told)})

    def save_drift(self, drift: DriftCheck) -> None:
        """Store what the nightly check found."""
        verdicts = dict(drift.verdicts)
        _keep(_DRIFT, {"checked_at": _written(drift.checked_at), "drift": drift.drift, "verdicts": verdicts})

    def save_rest(self, rest: Rest) -> None:
        """Store the count of mailings that ended long ago."""
        _keep(_REST, {"ended_before": _written(rest.ended_before), "messages": dict(rest.messages)})


def _keep(name: str, content: Mapping[str, object]) -> None:
    with translated_model():
        CounterItem(SERVICE, name).update(actions=[CounterItem.kept.set(content)])


def _kept(item: Item | None) -> Any:  # noqa: ANN401 - JSON
    return _DECLARED["kept"].deserialize(item["kept"]["S"]) if item else None


def _written(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _read(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
