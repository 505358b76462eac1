"""Dead letters, seen and redriven over the API, on the packaged functions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.e2e.steps import (
    assert_counters_equal_recount,
    create_mailing,
    drained,
    finished,
    has_schedule,
    load_clients,
    rows,
    send,
    take,
)
from tests.running_stack import RunningStack, poll

DLQS = ("plan-dlq", "send-dlq", "express-dlq", "scheduler-dlq")


@pytest.fixture(autouse=True)
def no_dead_letters(stack: RunningStack) -> Iterator[None]:
    def empty() -> None:
        for dlq in DLQS:
            while take(stack, dlq):
                pass

    stack.control()
    empty()
    yield
    empty()


def letters(stack: RunningStack, queue: str) -> list[dict[str, Any]]:
    answer = stack.request("GET", f"/dead-letters?queue={queue}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def redrive(stack: RunningStack, **asked: object) -> dict[str, Any]:
    answer = stack.request("POST", "/dead-letters/redrive", asked)
    assert answer.status_code == 202, answer.text
    done: dict[str, Any] = answer.json()
    return done


@pytest.mark.parametrize(("queue", "found_in"), [("send", "send"), ("express", "send"), ("plan", "plan")])
def test_garbage_is_seen_redriven_and_back_with_its_cause(stack: RunningStack, queue: str, found_in: str) -> None:
    stack.client("sqs").send_message(QueueUrl=stack.queue_url(queue), MessageBody="call 79161234567")

    (letter,) = poll(partial(letters, stack, found_in), until=bool, deadline_seconds=60)

    assert letter["cause"].startswith("unreadable ticket: ")
    assert (letter["mailing_id"], letter["message_ids"], letter["segment"]) == (None, [], None)
    assert "79161234567" not in json.dumps(letter)
    assert letters(stack, found_in) == [letter]
    assert redrive(stack, queue=found_in, ids=[letter["id"]]) == {"redriven": 1, "left": 0, "reasons": {}}
    (back,) = poll(partial(letters, stack, found_in), until=bool, deadline_seconds=60)
    assert back["id"] != letter["id"]
    assert back["cause"] == letter["cause"]


def test_redriven_tickets_of_a_mailing_send_nothing_twice(stack: RunningStack) -> None:
    load_clients(stack, 3, "redriven")
    stack.forget_received()
    mailing_id = create_mailing(stack, "redriven")
    assert finished(stack, mailing_id)["messages"]["sent"] == 3
    before = rows(stack, mailing_id)
    ids = [row["id"] for row in before]
    tickets = [{"v": 1, "mailing_id": mailing_id, "message_ids": share} for share in (ids, ids[:2])]
    for dlq in ("send-dlq", "express-dlq"):
        for ticket in tickets:
            send(stack, dlq, ticket)
    send(stack, "plan-dlq", {"v": 1, "mailing_id": mailing_id, "segment": "plan#00"})

    seen = stack.request("GET", "/dead-letters").json()["items"]

    assert sorted(len(letter["message_ids"]) for letter in seen) == [0, 2, 2, 3, 3]
    assert {letter["mailing_id"] for letter in seen} == {mailing_id}
    assert all("by a fault of ours" in letter["cause"] for letter in seen)
    assert redrive(stack) == {"redriven": 5, "left": 0, "reasons": {}}
    drained(stack)
    assert stack.request("GET", "/dead-letters").json() == {"items": [], "next": None}
    assert rows(stack, mailing_id) == before
    received = stack.received(limit=0)
    assert (received["requests"], received["accepted_duplicates"]) == (3, 0)
    assert_counters_equal_recount(stack, mailing_id)


@pytest.mark.of_lambda("the host's clock needs no schedule that could be lost")
def test_schedule_that_did_not_reach_the_planner_is_redriven_to_it(stack: RunningStack) -> None:
    start_at = datetime.now(UTC) + timedelta(hours=5)
    mailing_id = create_mailing(stack, "nobody", start_at=start_at, end_at=start_at + timedelta(hours=1))
    stack.client("scheduler").delete_schedule(GroupName=stack.info.stack_name, Name=mailing_id)
    send(stack, "scheduler-dlq", {"mailing_id": mailing_id})

    (letter,) = letters(stack, "schedule")

    assert letter["mailing_id"] == mailing_id
    assert redrive(stack, queue="schedule") == {"redriven": 1, "left": 0, "reasons": {}}
    poll(partial(has_schedule, stack, mailing_id), until=bool, deadline_seconds=60)  # early, so it armed itself again
    assert letters(stack, "schedule") == []
    assert stack.request("DELETE", f"/mailings/{mailing_id}").status_code == 204
