"""The audit trail in a table of its own, a partition a month (port: `AuditTrail`)."""

import json
from datetime import datetime
from typing import Any

from chalicelib.adapters.dynamodb import DynamoDB, Item, translated
from chalicelib.adapters.tables import AuditItem
from chalicelib.domain.audit import KEPT, AuditEntry, AuditFilter
from chalicelib.ports import Page

MAX_READS = 20  # queries behind one page: what is filtered out is read all the same
_MONTH = "%Y-%m"


class DynamoAuditTrail:
    """Entries in the audit table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._table = AuditItem.Meta.table_name

    def save(self, entry: AuditEntry) -> None:
        """Store an entry."""
        item: Item = {
            "month": {"S": entry.at.strftime(_MONTH)},
            "id": {"S": entry.id},
            "subject": {"S": entry.subject},
            "action": {"S": entry.action},
            "entry": {"S": _packed(entry)},
            "expires_at": {"N": str(int((entry.at + KEPT).timestamp()))},
        }
        if entry.target is not None:
            item["target"] = {"S": entry.target}
        with translated():
            self._dynamodb.client.put_item(TableName=self._table, Item=item)

    def page(self, meant: AuditFilter, now: datetime, after: str | None, limit: int) -> Page[AuditEntry]:
        """List entries month by month, backwards. `after` is `<month>:<last id>`, the id may be empty."""
        month, _, last = (after or f"{now.strftime(_MONTH)}:").partition(":")
        oldest = (now - KEPT).strftime(_MONTH)
        found: list[AuditEntry] = []
        for _ in range(MAX_READS):
            query = _query(meant, month, last) | {"TableName": self._table, "Limit": limit - len(found)}
            with translated():
                answer = self._dynamodb.client.query(**query)
            found += [_unpacked(item) for item in answer["Items"]]
            last = answer["LastEvaluatedKey"]["id"]["S"] if "LastEvaluatedKey" in answer else ""
            if not last:
                month = _before(month)
                if month < oldest:
                    return Page(found)
            if len(found) == limit:
                break
        return Page(found, f"{month}:{last}")


def _query(meant: AuditFilter, month: str, last: str) -> dict[str, Any]:
    values: Item = {":month": {"S": month}}
    conditions = []
    for name, value, condition in (
        ("subject", meant.subject, "#subject = :subject"),
        ("target", meant.target, "#target = :target"),
        ("action", meant.action, "contains(#action, :action)"),
    ):
        if value is not None:
            values[f":{name}"] = {"S": value}
            conditions.append((name, condition))
    query: dict[str, Any] = {
        "KeyConditionExpression": "#month = :month",
        "ExpressionAttributeNames": {"#month": "month"} | {f"#{name}": name for name, _ in conditions},
        "ExpressionAttributeValues": values,
        "ScanIndexForward": False,
    }
    if conditions:
        query["FilterExpression"] = " AND ".join(condition for _, condition in conditions)
    if last:
        query["ExclusiveStartKey"] = {"month": {"S": month}, "id": {"S": last}}
    return query


def _before(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year}-{number - 1:02d}" if number > 1 else f"{year - 1}-12"


def _packed(entry: AuditEntry) -> str:
    return json.dumps([entry.at.isoformat(), entry.via, entry.outcome, entry.changes, entry.request_id])


def _unpacked(item: Item) -> AuditEntry:
    at, via, outcome, changes, *later = json.loads(item["entry"]["S"])
    return AuditEntry(
        id=item["id"]["S"],
        at=datetime.fromisoformat(at),
        subject=item["subject"]["S"],
        via=via,
        action=item["action"]["S"],
        target=item["target"]["S"] if "target" in item else None,
        outcome=outcome,
        changes={name: (before, after) for name, (before, after) in changes.items()},
        request_id=later[0] if later else None,
    )
