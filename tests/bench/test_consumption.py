import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from chalicelib.domain.journal import FUNCTIONS
from tests.bench.consumed import Consumption, LambdaUse
from tests.bench.consumption import measured, report_tables
from tests.bench.cost import by_service, cost_lines, delivery_lines, standing_lines, usd_per_million
from tests.bench.lambdas import lambda_logs
from tests.running_stack import RunningStack

NOW = datetime.now(UTC).replace(microsecond=0)
REPORT = (
    "REPORT RequestId: {}\tDuration: 1234 ms\tBilled Duration: 1234 ms\tMemory Size: 1024 MB\tMax Memory Used: 9 MB"
)
RUN = Consumption(
    calls=Counter(
        {
            ("sender", "dynamodb.TransactWriteItems"): 10,
            ("sender", "secretsmanager.GetSecretValue"): 2,
            ("planner", "sqs.SendMessageBatch"): 20,
            ("api", "scheduler.CreateSchedule"): 1,
        }
    ),
    request_bytes=Counter({("sender", "dynamodb.TransactWriteItems"): 5000}),
    read_units={("messages", "sender"): 1000, ("mailings", "api"): 4},
    write_units={("messages", "planner"): 5000, ("messages", "sender"): 4000, ("mailings", "api"): 8},
    assumed_writes=Counter({"planner": 1}),
    lambdas={
        "sender": LambdaUse(invocations=5, billed_ms=10_000, cpu_ms=4_000, memory_mb=1024, peak_memory_mb=100),
        "api": LambdaUse(invocations=100, billed_ms=2_000, memory_mb=512, peak_memory_mb=90),
        "dispatcher": LambdaUse(invocations=2, billed_ms=200, memory_mb=512, peak_memory_mb=80),
    },
    logged_bytes=Counter({"sender": 400_000, "api": 10_000}),
)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStack]:
    """A stack of log groups only, as moto plays them."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        session = boto3.Session("test", "test", region_name="us-east-1")
        logs = session.client("logs")
        for function in FUNCTIONS:
            logs.create_log_group(logGroupName=f"/aws/lambda/s-{function}")
        played = SimpleNamespace(info=SimpleNamespace(stack_name="s"), client=session.client)
        yield cast("RunningStack", played)


def log(stack: RunningStack, function: str, stream: str, at: datetime, *lines: str) -> None:
    group = f"/aws/lambda/s-{function}"
    stack.client("logs").create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(at.timestamp() * 1000), "message": line} for line in lines]
    stack.client("logs").put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def record(folder: Path, function: str, at: datetime, request: dict[str, Any] | None = None, **more: object) -> None:
    fields = {"function": f"s-{function}", "at": at.timestamp(), "status": 200, "request_bytes": 100}
    fields |= {"service": "dynamodb", "operation": "TransactWriteItems", "peak_kib": 100 * 1024, **more}
    with (folder / f"{function}.jsonl").open("a") as file:
        file.write(json.dumps(fields | ({"request": request} if request else {})) + "\n")


def put(**attributes: str) -> dict[str, Any]:
    item = {"id": {"N": "1"}, "mailing_shard": {"S": "m#00"}, "client_id": {"S": "c"}}
    item |= {name: {"S": value} for name, value in attributes.items()}
    return {"TransactItems": [{"Put": {"TableName": "s-messages", "Item": item}}]}


def test_runs_and_bytes_are_read_from_every_stream_since_a_moment(stack: RunningStack) -> None:
    log(stack, "sender", "old", NOW - timedelta(minutes=1), "START", REPORT.format("a"))
    log(stack, "sender", "one", NOW, "START", "é", REPORT.format("b"))
    log(stack, "sender", "two", NOW + timedelta(seconds=1), REPORT.format("c"))
    (function, read), *others = lambda_logs(stack.client("logs"), "s", NOW).items()
    assert (function, others) == ("sender", [])
    assert (read.invocations, read.billed_ms, read.memory_mb) == (2, 2468, 1024)
    assert read.logged_bytes == len("START") + 2 + 2 * len(REPORT.format("b")) + 4 * 26


def test_a_stream_of_many_pages_is_read_to_its_end(stack: RunningStack) -> None:
    log(stack, "planner", "long", NOW, *["x"] * 10_000, REPORT.format("a"))
    assert lambda_logs(stack.client("logs"), "s", NOW)["planner"].logged_bytes == (
        10_000 * 27 + len(REPORT.format("a")) + 26
    )


def test_only_what_came_since_is_counted_and_what_came_before_is_known(stack: RunningStack, tmp_path: Path) -> None:
    record(tmp_path, "planner", NOW - timedelta(seconds=9), put(), peak_kib=900 * 1024)
    record(tmp_path, "sender", NOW - timedelta(seconds=1), service="sqs", operation="SendMessageBatch", cpu_s=0.5)
    record(tmp_path, "sender", NOW + timedelta(seconds=1), put(status="sent"), cpu_s=0.6)
    record(tmp_path, "sender", NOW + timedelta(seconds=2), service="sqs", operation="SendMessageBatch", cpu_s=0.75)
    log(stack, "sender", "one", NOW, REPORT.format("b"))
    run = measured(stack, tmp_path, NOW)
    assert run.calls == {("sender", "dynamodb.TransactWriteItems"): 1, ("sender", "sqs.SendMessageBatch"): 1}
    assert run.request_bytes.total() == 200
    assert run.write_units == {("messages", "sender"): 2}  # no index knows the status
    assert run.assumed_writes.total() == 0
    assert run.lambdas == {"sender": LambdaUse(1, 1234, 250, 1024, 100)}
    assert run.logged_bytes["sender"] == len(REPORT.format("b")) + 26


def test_a_measurement_less_an_earlier_one_is_what_came_between() -> None:
    later = RUN.minus(RUN)
    assert not later.calls.total()
    assert not sum(later.write_units.values()) + sum(later.read_units.values()) + later.assumed_writes.total()
    assert later.lambdas["sender"] == LambdaUse(0, 0, 0, 1024, 100)
    assert RUN.minus(Consumption()) == RUN


def test_the_budgets_look_at_the_way_of_a_message_only() -> None:
    assert RUN.calls_per_message(1000) == 32 / 1000
    assert RUN.write_units_per_message(1000) == 9


def test_a_million_messages_cost_what_list_prices_say() -> None:
    sums = by_service(delivery_lines(RUN))
    assert list(sums) == ["DynamoDB", "CloudWatch Logs", "Lambda", "SQS", "Secrets Manager"]
    assert sums == {
        "DynamoDB": pytest.approx(9000 * 0.625e-6 + 1000 * 0.125e-6),
        "CloudWatch Logs": pytest.approx(400_000 / 2**30 * 0.5),
        "Lambda": pytest.approx(10 * 0.0000166667 + 5 * 0.2e-6),
        "SQS": pytest.approx((20 + 2 * 5) * 0.5e-6),
        "Secrets Manager": pytest.approx(2 * 5e-6),
    }
    assert usd_per_million(delivery_lines(RUN), 1000) == pytest.approx(sum(sums.values()) * 1000)


def test_the_dearest_part_comes_first() -> None:
    lines = cost_lines(RUN)
    assert (lines[0].service, lines[0].what) == ("DynamoDB", "write units, messages, planner")
    assert [line.usd for line in lines] == sorted((line.usd for line in lines), reverse=True)


def test_the_api_pays_for_its_gateway_and_schedules() -> None:
    sums = by_service(cost_lines(RUN.only("api")))
    assert sums["API Gateway"] == pytest.approx(100 * 3.5e-6)
    assert sums["EventBridge Scheduler"] == pytest.approx(1e-6)


def test_a_silent_month_costs_polls_and_the_dispatcher() -> None:
    polls, dispatcher = standing_lines(RUN)
    assert polls.usd == pytest.approx(3 * 5 * 3 * 60 * 24 * 30 * 0.5e-6)
    assert dispatcher.usd == pytest.approx(43_200 * (0.1 * 0.5 * 0.0000166667 + 0.2e-6))
    assert standing_lines(Consumption()) == [polls]


def test_the_tables_say_the_sums() -> None:
    calls, units, functions, services, largest, standing = report_tables(RUN, 1000)
    assert calls.splitlines()[-1].split() == ["all", "32", "0.0320"]
    assert units.splitlines()[0].endswith("(1 writes assumed)")
    assert units.splitlines()[-1].split() == ["all", "9.000", "1.000"]
    assert functions.splitlines()[3].split() == ["sender", "5", "200.0", "2000", "10.00", "4.00", "1024", "100", "400"]
    assert services.splitlines()[-2].split() == ["all", "6.129"]
    assert largest.splitlines()[3].split() == ["DynamoDB", "write", "units,", "messages,", "planner", "5", "3.125"]
    assert standing.splitlines()[3].split()[-2:] == ["1944000", "0.97"]


def test_json_holds_it_all() -> None:
    said = json.loads(json.dumps(RUN.as_dict()))
    assert said["calls"]["planner sqs.SendMessageBatch"] == 20
    assert said["write_units"]["messages sender"] == 4000
    assert said["lambdas"]["sender"] == {
        "invocations": 5,
        "billed_ms": 10_000,
        "cpu_ms": 4_000,
        "memory_mb": 1024,
        "peak_memory_mb": 100,
    }
    assert said["logged_bytes"]["sender"] == 400_000
    assert said["assumed_writes"] == {"planner": 1}
