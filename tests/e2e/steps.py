"""What users do and see, as steps of end-to-end tests."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.running_stack import RunningStack, poll

STATUSES = ("queued", "deferred", "sent", "failed", "expired", "cancelled")
ENDED = ("finished",)
MANY_CLIENTS = 200

phones = map(str, count(79_160_000_000))


def load_clients(
    stack: RunningStack, number: int, tag: str, *, timezone: str = "Asia/Yekaterinburg", connections: int | None = None
) -> list[str]:
    def load(phone: str) -> str:
        answer = stack.request("POST", "/clients", {"phone": phone, "tag": tag, "timezone": timezone})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    # Who asks several things at once has as many processes of the API start: each takes as long as a hundred clients.
    with ThreadPoolExecutor(connections or (4 if number > MANY_CLIENTS else 1)) as pool:
        return list(pool.map(load, [next(phones) for _ in range(number)]))


def create_mailing(
    stack: RunningStack,
    tag: str,
    *,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    **fields: object,
) -> str:
    now = datetime.now(UTC)
    body: dict[str, object] = {
        "start_at": (start_at or now).isoformat(),
        "end_at": (end_at or now + timedelta(hours=1)).isoformat(),
        "text": "Hello",
        "filter": {"tags": [tag]},
        **fields,
    }
    answer = stack.request("POST", "/mailings", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def statistics_of(stack: RunningStack, mailing_id: str) -> dict[str, Any]:
    statistics: dict[str, Any] = stack.request("GET", f"/mailings/{mailing_id}/stats").json()
    return statistics


def finished(stack: RunningStack, mailing_id: str, *, deadline_seconds: float = 90) -> dict[str, Any]:
    return poll(
        lambda: statistics_of(stack, mailing_id),
        until=lambda statistics: statistics["mailing"]["status"] in ENDED,
        deadline_seconds=deadline_seconds,
    )


def control(stack: RunningStack, mailing_id: str, what: str) -> None:
    answer = stack.request("POST", f"/mailings/{mailing_id}/{what}")
    assert answer.status_code == 200, answer.text


def change(stack: RunningStack, mailing_id: str, **fields: object) -> None:
    answer = stack.request("PATCH", f"/mailings/{mailing_id}", fields)
    assert answer.status_code == 200, answer.text


def counts_until(
    stack: RunningStack, mailing_id: str, status: str, *, at_least: int, deadline_seconds: float = 60
) -> dict[str, int]:
    """Wait until so many messages have a status; returns all counts of that moment."""
    counts: dict[str, int] = poll(
        lambda: statistics_of(stack, mailing_id)["messages"],
        until=lambda counts: counts[status] >= at_least,
        deadline_seconds=deadline_seconds,
    )
    return counts


def planned(stack: RunningStack, mailing_id: str) -> None:
    poll(
        lambda: statistics_of(stack, mailing_id)["planning"]["planned_at"],
        until=lambda planned_at: planned_at is not None,
        deadline_seconds=60,
    )


def rows(stack: RunningStack, mailing_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = stack.request("GET", f"/mailings/{mailing_id}/messages?limit=500{cursor}").json()
        found += page["items"]
        if page["next"] is None:
            return sorted(found, key=lambda row: int(row["id"]))
        cursor = f"&cursor={page['next']}"


def assert_counters_equal_recount(stack: RunningStack, mailing_id: str) -> None:
    recount = Counter(row["status"] for row in rows(stack, mailing_id))
    counters = statistics_of(stack, mailing_id)["messages"]
    assert {name: counters[name] for name in STATUSES} == {name: recount[name] for name in STATUSES}
    assert counters["total"] == recount.total()


def has_schedule(stack: RunningStack, mailing_id: str) -> bool:
    scheduler = stack.client("scheduler")
    try:
        scheduler.get_schedule(GroupName=stack.info.stack_name, Name=mailing_id)
    except scheduler.exceptions.ResourceNotFoundException:
        return False
    return True


def send(stack: RunningStack, queue: str, ticket: dict[str, object]) -> None:
    stack.client("sqs").send_message(QueueUrl=stack.queue_url(queue), MessageBody=json.dumps(ticket))


def repeat_message_tickets(stack: RunningStack, mailing_id: str, *, times: int) -> None:
    ids = [row["id"] for row in rows(stack, mailing_id)]
    for _ in range(times):
        for start in range(0, len(ids), 24):
            send(stack, "send", {"v": 1, "mailing_id": mailing_id, "message_ids": ids[start : start + 24]})


def forget_cursors(stack: RunningStack, mailing_id: str) -> None:
    dynamodb = stack.client("dynamodb")
    table = stack.table_name("segments")
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="mailing_id = :mailing",
        ExpressionAttributeValues={":mailing": {"S": mailing_id}},
    )
    for item in found["Items"]:
        again = {name: value for name, value in item.items() if name != "cursor_after"}
        again |= {"cursor_part": {"N": "0"}, "due_at": {"N": "4102444800000"}, "due_shard": {"S": "0"}}
        dynamodb.put_item(TableName=table, Item=again)


def drained(stack: RunningStack) -> None:
    """Wait until no ticket waits and none is worked on."""
    poll(lambda: tickets_left(stack), until=lambda left: left == 0, deadline_seconds=60)


def tickets_left(stack: RunningStack) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(value)
        for queue in ("plan", "send", "express")
        for value in stack.client("sqs")
        .get_queue_attributes(QueueUrl=stack.queue_url(queue), AttributeNames=names)["Attributes"]
        .values()
    )


def take(stack: RunningStack, queue: str) -> list[dict[str, Any]]:
    sqs, url = stack.client("sqs"), stack.queue_url(queue)
    letters: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    for letter in letters:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
    return letters
