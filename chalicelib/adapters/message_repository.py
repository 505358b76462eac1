"""The rows and their counters: planned, leased, recorded and found again (port: `MessageRepository`)."""

import logging
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.counter_updates import add_outcomes, add_planned
from chalicelib.adapters.dynamodb import MAX_STATEMENTS, DynamoDB, Item, chunks, translated
from chalicelib.adapters.mailing_repository import to_item
from chalicelib.adapters.tables import CounterItem, MailingItem, MessageItem
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status, message_id
from chalicelib.ports import DueMessage

logger = logging.getLogger(__name__)

DUE_SHARDS = 32
ROWS_PER_WRITE = 96  # four tickets, with their counters below 100


def _build(**attributes: Any) -> Message:  # noqa: ANN401 - attributes of a message by name
    reason = attributes.get("reason")
    return Message(
        **attributes | {"status": Status(attributes["status"]), "reason": Reason(reason) if reason else None}
    )


def _due_shard(message: Message) -> Mapping[str, str]:
    return {"due_shard": due_shard(message.status, message.id % DUE_SHARDS)} if message.due_at else {}


def due_shard(status: str, shard: int) -> str:
    """Name a shard of the due index. Queued and deferred rows stand apart, so that neither hides the other."""
    return f"{status}#{shard:02d}"


CODEC = ItemCodec(MessageItem, Message, build=_build, extra=_due_shard)


class DynamoMessageRepository:
    """Rows in the messages table, counters in the stats table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._messages = MessageItem.Meta.table_name
        self._stats = CounterItem.Meta.table_name
        self._mailings = MailingItem.Meta.table_name

    def plan(self, mailing: Mailing, messages: Sequence[Message]) -> Sequence[Message]:
        """Store rows that do not exist yet and count them; up to 96 a transaction."""
        return [row for chunk in chunks(messages, ROWS_PER_WRITE) for row in self._plan_chunk(mailing, chunk)]

    def plan_alone(self, mailing: Mailing, message: Message) -> Message:
        """Store a mailing, whose id nobody else can have, with its only row and counter: in one transaction, once."""
        put = {"Put": {"TableName": self._mailings, "Item": to_item(mailing).to_dynamodb_dict()}}
        (stored,) = self._plan_chunk(mailing, [message], put)
        return stored

    def _plan_chunk(self, mailing: Mailing, messages: Sequence[Message], *others: Item) -> list[Message]:
        stored: list[Message] = []
        pending = [(message, 0) for message in messages]
        while pending:
            rows = [message for message, _ in pending]
            count = add_planned(self._stats, mailing.id, len(rows))
            reasons = self._dynamodb.write([*map(self._put_new, rows), count, *others])
            if reasons is None:
                return stored + rows
            remaining = []
            for (message, k), reason in zip(pending, reasons, strict=False):
                if reason.get("Code") != "ConditionalCheckFailed":
                    remaining.append((message, k))
                    continue
                taken = CODEC.decode(reason["Item"])
                if (taken.mailing_id, taken.client_id) == (message.mailing_id, message.client_id):
                    stored.append(taken)
                else:
                    other = message_id(message.mailing_id, message.client_id, k + 1)
                    remaining.append((replace(message, id=other), k + 1))
            pending = remaining
        return stored

    def _put_new(self, message: Message) -> Item:
        return {
            "Put": {
                "TableName": self._messages,
                "Item": CODEC.encode(message),
                "ConditionExpression": "attribute_not_exists(id)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def lease(self, messages: Collection[Message], *, until: datetime, version: str) -> Sequence[Message]:
        """Take rows that have not changed since they were read; what failed is looked at: it may have been we."""
        leased = [replace(row, lease_until=until, version=version, leases=row.leases + 1) for row in messages]
        results = self._change_leases(messages, leased)
        failed = [row.id for row, result in zip(leased, results, strict=True) if result]
        found = self.get_many(failed) if failed else {}
        return [row for row in leased if row.id not in failed or (row.id in found and found[row.id].version == version)]

    def get_many(self, ids: Collection[int]) -> Mapping[int, Message]:
        """Read rows, consistently."""
        items = self._dynamodb.get_many(self._messages, [{"id": {"N": str(id_)}} for id_ in set(ids)])
        return {message.id: message for message in map(CODEC.decode, items)}

    def release(self, messages: Sequence[Message]) -> None:
        """Give back leased rows on which nothing was begun, as if the lease had never been."""
        version = _new_version()
        free = [replace(row, lease_until=UNLEASED, version=version, leases=row.leases - 1) for row in messages]
        self._change_leases(messages, free)

    def _change_leases(self, before: Iterable[Message], after: Iterable[Message]) -> list[str | None]:
        statement = (
            f'UPDATE "{self._messages}" SET lease_until=? SET version=? SET leases=? '  # noqa: S608 - our own name
            "WHERE id=? AND version=?"
        )
        changed = ("lease_until", "version", "leases")
        return self._execute(
            (statement, [*((name, getattr(new, name)) for name in changed), ("id", old.id), ("version", old.version)])
            for old, new in zip(before, after, strict=True)
        )

    def record(self, mailing_id: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Store outcomes with their counters, up to 96 a transaction."""
        return [
            stored
            for chunk in chunks(outcomes, ROWS_PER_WRITE)
            for stored in self._record_chunk(mailing_id, list(chunk))
        ]

    def _record_chunk(self, mailing_id: str, outcomes: list[Outcome]) -> list[Outcome]:
        while outcomes:
            reasons = self._dynamodb.write([*self._puts(outcomes), *add_outcomes(self._stats, mailing_id, outcomes)])
            if reasons is None:
                return outcomes
            remaining = []
            for outcome, reason in zip(outcomes, reasons, strict=False):
                if reason.get("Code") != "ConditionalCheckFailed":
                    remaining.append(outcome)
                    continue
                current = CODEC.decode(reason["Item"]) if "Item" in reason else None
                rebased = outcome.rebased(current)
                if rebased:
                    remaining.append(rebased)
                else:
                    logger.warning(
                        "outcome dropped: the row has changed since",
                        extra={
                            "mailing_id": mailing_id,
                            "message_id": outcome.before.id,
                            "outcome": outcome.after.status,
                            "found": current.status if current else None,
                        },
                    )
            outcomes = remaining
        return outcomes

    def _puts(self, outcomes: Iterable[Outcome]) -> Iterable[Item]:
        version = {"version": CODEC.value("version", _new_version())}
        for outcome in outcomes:
            yield {
                "Put": {
                    "TableName": self._messages,
                    "Item": CODEC.encode(outcome.after) | version,
                    "ConditionExpression": "version = :read",
                    "ExpressionAttributeValues": {":read": {"S": outcome.before.version}},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }

    def due(self, status: Status, shard: int, before: datetime, limit: int) -> Sequence[DueMessage]:
        """List open rows of one shard of the due index whose `due_at` has passed, earliest first."""
        with translated():
            answer = self._dynamodb.client.query(
                TableName=self._messages,
                IndexName="by_due",
                KeyConditionExpression="due_shard = :shard AND due_at <= :before",
                ExpressionAttributeValues={
                    ":shard": CODEC.value("due_shard", due_shard(status, shard)),
                    ":before": CODEC.value("due_at", before),
                },
                Limit=limit,
            )
        return [_DUE_CODEC.decode(item) for item in answer["Items"]]

    def move_due(self, due: Sequence[DueMessage], *, now: datetime, due_at: datetime) -> Sequence[DueMessage]:
        """Move `due_at` of rows that are still due and not leased; returns those moved."""
        statement = (
            f'UPDATE "{self._messages}" SET due_at=? SET version=? '  # noqa: S608 - our own name
            "WHERE id=? AND due_at=? AND lease_until < ?"
        )
        version = _new_version()
        results = self._execute(
            (
                statement,
                [
                    ("due_at", due_at),
                    ("version", version),
                    ("id", row.id),
                    ("due_at", row.due_at),
                    ("lease_until", now),
                ],
            )
            for row in due
        )
        return [row for row, result in zip(due, results, strict=True) if result is None]

    def _execute(self, statements: Iterable[tuple[str, Sequence[tuple[str, Any]]]]) -> list[str | None]:
        prepared = [
            {"Statement": statement, "Parameters": [CODEC.value(name, value) for name, value in parameters]}
            for statement, parameters in statements
        ]
        return [result for chunk in chunks(prepared, MAX_STATEMENTS) for result in self._dynamodb.execute(chunk)]


_DUE_CODEC = ItemCodec(MessageItem, DueMessage)


def _new_version() -> str:
    return secrets.token_urlsafe(9)
