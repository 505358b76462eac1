"""The main job and what may happen to it, on the packaged functions, each held to its own role's permissions."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    counts_until,
    create_mailing,
    drained,
    finished,
    forget_cursors,
    has_schedule,
    load_clients,
    phones,
    planned,
    repeat_message_tickets,
    rows,
    send,
    statistics_of,
    take,
)
from tests.running_stack import RunningStack, poll

CROWD = 300
SENDERS = 8
VISIBILITY_SECONDS = 180


@dataclass(frozen=True)
class Wounded:
    stack: RunningStack
    crowd: Sequence[str]
    mailing_id: str
    killed_at: float


@pytest.fixture(scope="module")
def stack(start_stack: StartStack) -> RunningStack:
    """A stack with eight senders, on which a mailing of 300 is a large one."""
    return start_stack(
        emulator={"AUTH": "true"},
        parameters={"SenderConcurrency": str(SENDERS)},
        settings={"EXPRESS_MAX_CLIENTS": "100"},
    )


@pytest.fixture(scope="module")
def crowd(stack: RunningStack) -> Sequence[str]:
    return load_clients(stack, CROWD, "crowd")


@pytest.fixture(autouse=True)
def provider_is_well(stack: RunningStack) -> Iterator[None]:
    stack.control()
    stack.forget_received()
    yield
    stack.control()


@pytest.fixture(scope="module", autouse=True)
def wounded(start_stack: StartStack) -> Wounded:
    """A stack of which all senders were killed while they waited for the provider.

    Its tickets come back after the visibility timeout; the other tests run meanwhile.
    """
    stack = start_stack()
    crowd = load_clients(stack, CROWD, "crowd")
    stack.control(latency_ms=3000)
    mailing_id = create_mailing(stack, "crowd")
    poll(lambda: stack.received(limit=0)["in_flight"], until=lambda flying: flying >= 20, deadline_seconds=60)
    killed = sender_processes(stack)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert killed
    stack.control()
    return Wounded(stack, crowd, mailing_id, time.monotonic())


def test_every_client_gets_one_message_and_has_a_row(stack: RunningStack, crowd: Sequence[str]) -> None:
    mailing_id = create_mailing(stack, "crowd")

    statistics = finished(stack, mailing_id)

    assert statistics["messages"]["sent"] == CROWD
    assert statistics["mailing"]["finished_at"] is not None
    assert statistics["planning"]["done"] == statistics["planning"]["segments"] > 0
    assert sum(minute["sent"] for minute in statistics["per_minute"]) == CROWD
    assert {row["client_id"] for row in rows(stack, mailing_id)} == set(crowd)
    received = stack.received(limit=CROWD)
    assert received["accepted_duplicates"] == 0
    assert {row["id"] for row in rows(stack, mailing_id)} <= {request["id"] for request in received["last"]}
    assert_counters_equal_recount(stack, mailing_id)


def test_of_parallel_creations_with_one_phone_exactly_one_succeeds(stack: RunningStack) -> None:
    # moto's transactions are not safe among threads: only here do two creations really meet.
    phone = next(phones)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: stack.request("POST", "/clients", {"phone": phone, "timezone": "UTC"}), range(8))
        )

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert [client["phone"] for client in stack.request("GET", f"/clients?phone={phone}").json()["items"]] == [phone]


def test_small_mailing_goes_by_the_express_queue_and_reaches_only_its_audience(stack: RunningStack) -> None:
    chosen = load_clients(stack, 5, "few")

    mailing_id = create_mailing(stack, "few")

    assert finished(stack, mailing_id)["messages"]["sent"] == len(chosen)
    assert {row["client_id"] for row in rows(stack, mailing_id)} == set(chosen)
    one = rows(stack, mailing_id)[0]
    assert stack.request("GET", f"/messages/{one['id']}").json() == one
    history = stack.request("GET", f"/clients/{one['client_id']}/messages").json()["items"]
    assert [message["id"] for message in history] == [one["id"]]


def test_mailing_without_audience_finishes(stack: RunningStack) -> None:
    mailing_id = create_mailing(stack, "nobody-has-this-tag")

    assert finished(stack, mailing_id)["messages"]["total"] == 0


def test_future_mailing_starts_by_its_schedule_which_is_then_gone(
    stack: RunningStack, crowd: Sequence[str], *, on_host: bool
) -> None:
    start_at = datetime.now(UTC) + timedelta(seconds=5)
    mailing_id = create_mailing(stack, "crowd", start_at=start_at)
    assert stack.request("GET", f"/mailings/{mailing_id}").json()["status"] == "scheduled"
    assert has_schedule(stack, mailing_id) is not on_host, "there its row says when"

    statistics = finished(stack, mailing_id)

    started_at = datetime.fromisoformat(statistics["planning"]["started_at"])
    assert start_at <= started_at <= start_at + timedelta(seconds=60)
    assert statistics["messages"]["sent"] == len(crowd)
    assert not has_schedule(stack, mailing_id)


@pytest.mark.of_lambda("the host's clock looks at rows")
def test_schedule_moves_with_the_start_and_goes_with_the_mailing(stack: RunningStack) -> None:
    start_at = datetime.now(UTC) + timedelta(hours=5)
    mailing_id = create_mailing(stack, "crowd", start_at=start_at, end_at=start_at + timedelta(hours=3))
    moved = (start_at + timedelta(hours=1)).replace(microsecond=0)

    answer = stack.request("PATCH", f"/mailings/{mailing_id}", {"start_at": moved.isoformat()})

    assert answer.status_code == 200
    schedule = stack.client("scheduler").get_schedule(GroupName=stack.info.stack_name, Name=mailing_id)
    assert schedule["ScheduleExpression"] == f"at({moved:%Y-%m-%dT%H:%M:%S})"
    assert stack.request("DELETE", f"/mailings/{mailing_id}").status_code == 204
    assert not has_schedule(stack, mailing_id)
    assert stack.request("GET", f"/mailings/{mailing_id}").status_code == 404
    assert stack.request("DELETE", f"/mailings/{mailing_id}").status_code == 404


@pytest.mark.of_lambda("the host's clock starts it before")
def test_late_mailing_is_started_by_process_and_by_the_dispatcher(stack: RunningStack) -> None:
    load_clients(stack, 2, "late")
    start_at = datetime.now(UTC) + timedelta(seconds=2)
    mailings = [create_mailing(stack, "late", start_at=start_at) for _ in range(2)]
    for mailing_id in mailings:
        stack.client("scheduler").delete_schedule(GroupName=stack.info.stack_name, Name=mailing_id)
    poll(lambda: datetime.now(UTC), until=lambda now: now > start_at, deadline_seconds=10)

    found = stack.request("POST", "/mailings/process")

    assert found.status_code == 202
    assert set(found.json()["mailings"]) <= set(mailings)
    stack.tick("dispatcher")
    for mailing_id in mailings:
        assert finished(stack, mailing_id)["messages"]["sent"] == 2
    assert stack.request("POST", "/mailings/process").json()["mailings"] == []


def test_provider_that_is_down_for_20_s_loses_nobody(stack: RunningStack, crowd: Sequence[str]) -> None:
    stack.control(drop="before")
    mailing_id = create_mailing(stack, "crowd")
    down_until = time.monotonic() + 20
    poll(time.monotonic, until=lambda now: now >= down_until, deadline_seconds=30)
    assert statistics_of(stack, mailing_id)["messages"]["sent"] == 0
    stack.control()

    statistics = finished(stack, mailing_id, deadline_seconds=120)

    assert statistics["messages"]["sent"] == len(crowd)
    assert statistics["attempts"] > len(crowd)
    assert statistics["errors"][0]["error"] == "reset"
    assert_counters_equal_recount(stack, mailing_id)


def test_no_request_starts_at_the_end_or_later_and_the_rest_expires(stack: RunningStack, crowd: Sequence[str]) -> None:
    stack.control(latency_ms=5000)
    end_at = datetime.now(UTC) + timedelta(seconds=12)
    mailing_id = create_mailing(stack, "crowd", end_at=end_at)

    statistics = finished(stack, mailing_id)

    ours = {row["id"] for row in rows(stack, mailing_id)}
    begun = [request["started_at"] for request in stack.received(limit=10_000)["last"] if request["id"] in ours]
    assert begun
    assert max(map(datetime.fromisoformat, begun)) < end_at - timedelta(seconds=0.9)
    assert statistics["messages"]["sent"] + statistics["messages"]["expired"] == len(crowd)
    assert_counters_equal_recount(stack, mailing_id)


def test_tickets_that_come_twice_change_nothing(stack: RunningStack) -> None:
    load_clients(stack, 150, "twice")
    stack.control(latency_ms=200)
    mailing_id = create_mailing(stack, "twice")
    planned(stack, mailing_id)
    repeat_message_tickets(stack, mailing_id, times=2)
    finished(stack, mailing_id)
    before = rows(stack, mailing_id)

    repeat_message_tickets(stack, mailing_id, times=1)
    drained(stack)

    assert rows(stack, mailing_id) == before
    assert Counter(row["attempts"] for row in before) == {1: 150}
    assert stack.received(limit=0)["accepted_duplicates"] == 0
    assert_counters_equal_recount(stack, mailing_id)


def test_planner_and_its_segments_may_run_again_and_again(stack: RunningStack, crowd: Sequence[str]) -> None:
    stack.control(latency_ms=100)
    mailing_id = create_mailing(stack, "crowd")
    event = json.dumps({"mailing_id": mailing_id})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: stack.invoke("planner", event), range(4)))
    planned(stack, mailing_id)
    segments = statistics_of(stack, mailing_id)["planning"]["segments"]
    # As if planning had been killed after its rows and tickets, before its cursors.
    forget_cursors(stack, mailing_id)
    for _ in range(2):
        for number in range(segments):
            send(stack, "plan", {"v": 1, "mailing_id": mailing_id, "segment": f"plan#{number:02d}"})
    drained(stack)

    assert finished(stack, mailing_id)["messages"]["sent"] == len(crowd)
    assert Counter(row["client_id"] for row in rows(stack, mailing_id)) == Counter(crowd)
    assert stack.received(limit=0)["accepted_duplicates"] == 0
    assert_counters_equal_recount(stack, mailing_id)


def test_eight_senders_on_one_mailing_keep_the_counters_equal_to_the_rows(stack: RunningStack) -> None:
    size = 1200
    load_clients(stack, size, "many")
    stack.control(latency_ms=300, status=500, error_rate=0.2)

    mailing_id = create_mailing(stack, "many")

    statistics = finished(stack, mailing_id, deadline_seconds=180)
    assert statistics["messages"]["sent"] == size
    assert statistics["attempts"] == sum(row["attempts"] for row in rows(stack, mailing_id)) > size
    assert stack.received(limit=0)["max_in_flight"] > 64, "one sender has 64 threads"
    assert stack.received(limit=0)["accepted_duplicates"] == 0
    assert_counters_equal_recount(stack, mailing_id)


def test_deleted_mailing_and_deleted_client_get_nothing_more(stack: RunningStack) -> None:
    gone, *_ = load_clients(stack, 150, "leaving")
    stack.control(status=503, retry_after=8)
    mailing_id = create_mailing(stack, "leaving")
    # Once some were refused the breaker opens, and the others wait as they are.
    counts_until(stack, mailing_id, "deferred", at_least=1)
    planned(stack, mailing_id)
    assert stack.request("DELETE", f"/clients/{gone}").status_code == 204
    stack.control()

    statistics = finished(stack, mailing_id)

    assert (statistics["messages"]["sent"], statistics["messages"]["cancelled"]) == (149, 1)
    assert_counters_equal_recount(stack, mailing_id)


def test_unreadable_ticket_is_set_aside_with_its_cause(stack: RunningStack) -> None:
    for queue, dlq, body in (
        ("send", "send-dlq", "this is no JSON"),
        ("express", "send-dlq", json.dumps({"v": 2, "mailing_id": "m", "message_ids": [1]})),
        ("plan", "plan-dlq", json.dumps({"v": 1, "mailing_id": "m"})),
    ):
        stack.client("sqs").send_message(QueueUrl=stack.queue_url(queue), MessageBody=body)

        letters = poll(partial(take, stack, dlq), until=bool, deadline_seconds=60)

        assert [letter["Body"] for letter in letters] == [body]
        assert "unreadable ticket" in letters[0]["MessageAttributes"]["cause"]["StringValue"]


def test_ticket_for_what_does_not_exist_is_dropped(stack: RunningStack) -> None:
    send(stack, "send", {"v": 1, "mailing_id": "no-such-mailing", "message_ids": [1, 2**53 - 1]})
    send(stack, "plan", {"v": 1, "mailing_id": "no-such-mailing", "segment": "plan#00"})

    drained(stack)

    assert take(stack, "send-dlq") == []
    assert take(stack, "plan-dlq") == []


def test_killed_senders_lose_nobody(wounded: Wounded) -> None:
    stack, mailing_id = wounded.stack, wounded.mailing_id
    patience = wounded.killed_at + VISIBILITY_SECONDS + 60 - time.monotonic()

    statistics = finished(stack, mailing_id, deadline_seconds=max(patience, 60))

    assert statistics["messages"]["sent"] == CROWD
    assert Counter(row["client_id"] for row in rows(stack, mailing_id)) == Counter(wounded.crowd)
    assert_counters_equal_recount(stack, mailing_id)
    repeated = stack.received(limit=0)["accepted_duplicates"]
    assert 0 < repeated <= CROWD, "those whose outcome was not recorded yet are asked for again, with the same id"


def sender_processes(stack: RunningStack) -> list[int]:
    """Find the worker processes of this stack's sender."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={stack.info.stack_name}-sender".encode()
    endpoint = f"AWS_ENDPOINT_URL={stack.info.aws_endpoint_url}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            environ = entry.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked, or is not ours to look at
        if name in environ and endpoint in environ:
            found.append(int(entry.parent.name))
    return found
