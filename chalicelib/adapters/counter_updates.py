"""Counters as parts of the transactions that change rows.

A mailing's counters are spread over 64 items, so that the transactions of many senders rarely meet on one; the
counters of a minute are items of their own, so that no item grows with the length of a mailing. What repairs add is
one item more: nobody else writes it, so that a repair can tell whether another was faster.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from chalicelib.adapters.dynamodb import Item
from chalicelib.adapters.tables import CounterItem
from chalicelib.domain.message import Outcome, Status, counter_changes

SHARDS = 64
TOTAL = "total#"
REPAIR = f"{TOTAL}repair"
MINUTE = "minute#"
MINUTE_FORMAT = "%Y%m%d%H%M"


def add_planned(table: str, mailing_id: str, rows: int) -> Item:
    """Count rows that a transaction creates."""
    return _add(table, mailing_id, f"{TOTAL}{_shard()}", {Status.QUEUED.value: rows})


def add_outcomes(table: str, mailing_id: str, outcomes: Iterable[Outcome]) -> list[Item]:
    """Count what a transaction makes of rows: the totals, and the minutes in which messages were sent."""
    changes: Counter[str] = Counter()
    sent: list[datetime] = []
    expires_at = None
    for outcome in outcomes:
        changes.update(counter_changes(outcome))
        if outcome.after.sent_at:
            sent.append(outcome.after.sent_at)
            expires_at = outcome.after.expires_at
    shard = _shard()
    updates = []
    if any(changes.values()):
        updates.append(_add(table, mailing_id, f"{TOTAL}{shard}", changes, sent=sent))
    for minute, count in Counter(moment.strftime(MINUTE_FORMAT) for moment in sent).items():
        updates.append(
            _add(table, mailing_id, f"{MINUTE}{minute}#{shard}", {Status.SENT.value: count}, expires_at=expires_at)
        )
    return updates


def add_repair(table: str, mailing_id: str, changes: Mapping[str, int], repairs: int) -> Item:
    """Adjust the totals, on condition that it was done so often before."""
    item = _add(table, mailing_id, REPAIR, {**changes, "repairs": 1})
    update = item["Update"]
    if repairs:
        update["ConditionExpression"] = "repairs = :before"
        update["ExpressionAttributeValues"][":before"] = _value("repairs", repairs)
    else:
        update["ConditionExpression"] = "attribute_not_exists(repairs)"
    return item


def _add(
    table: str,
    mailing_id: str,
    counter: str,
    changes: Mapping[str, int],
    *,
    sent: list[datetime] | None = None,
    expires_at: datetime | None = None,
) -> Item:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    adds = []
    for index, (name, change) in enumerate(changes.items()):
        if change:
            names[f"#{index}"] = name
            values[f":{index}"] = {"N": str(change)}
            adds.append(f"#{index} :{index}")
    sets = []
    if sent:
        values[":first"], values[":last"] = _value("first_sent_at", min(sent)), _value("last_sent_at", max(sent))
        sets += ["first_sent_at = if_not_exists(first_sent_at, :first)", "last_sent_at = :last"]
    if expires_at:
        values[":expires"] = _value("expires_at", expires_at)
        sets.append("expires_at = :expires")
    return {
        "Update": {
            "TableName": table,
            "Key": {"mailing_id": _value("mailing_id", mailing_id), "counter": _value("counter", counter)},
            "UpdateExpression": f"ADD {', '.join(adds)}" + (f" SET {', '.join(sets)}" if sets else ""),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }


def _shard() -> str:
    return f"{random.randrange(SHARDS):02d}"  # noqa: S311 - spreading load, not guarding anything


_ATTRIBUTES = CounterItem.get_attributes()


def _value(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the attribute holds
    attribute = _ATTRIBUTES[name]
    return {attribute.attr_type: attribute.serialize(value)}
