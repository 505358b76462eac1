"""Starting mailings with EventBridge Scheduler, and at once."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.adapters.scheduler import EventBridgeScheduler, ScheduleTarget
from chalicelib.errors import TransientError
from tests.builders import NOW, mailing

AwsClient = Any  # boto3's clients are made at run time
SCHEDULED = mailing(start_at=NOW + timedelta(days=1))
ARN = "arn:aws:{}:us-east-1:123456789012:{}"
TARGET = ScheduleTarget(
    group="mailings",
    planner_arn=ARN.format("lambda", "function:planner"),
    role_arn="arn:aws:iam::123456789012:role/scheduler",
    dead_letter_arn=ARN.format("sqs", "scheduler-dlq"),
)


class FakeFunctions:
    """A Lambda client that remembers its calls; moto would need Docker for it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.invoked: list[dict[str, Any]] = []
        self._error = error

    def invoke(self, **call: Any) -> None:  # noqa: ANN401 - arguments of boto3
        if self._error:
            raise self._error
        self.invoked.append(call)


@pytest.fixture
def client() -> Iterator[AwsClient]:
    with mock_aws():
        made = boto3.client(
            "scheduler", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        made.create_schedule_group(Name=TARGET.group)
        yield made


@pytest.fixture
def functions() -> FakeFunctions:
    return FakeFunctions()


@pytest.fixture
def scheduler(client: AwsClient, functions: FakeFunctions) -> EventBridgeScheduler:
    return EventBridgeScheduler(client, functions, TARGET)  # type: ignore[arg-type]


def names(client: AwsClient) -> list[str]:
    return [schedule["Name"] for schedule in client.list_schedules(GroupName=TARGET.group)["Schedules"]]


def schedule(client: AwsClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get_schedule(GroupName=TARGET.group, Name=SCHEDULED.id)
    return found


def test_a_schedule_calls_the_planner_once_at_the_start(client: AwsClient, scheduler: EventBridgeScheduler) -> None:
    scheduler.put(SCHEDULED)
    found = schedule(client)
    assert found["ScheduleExpression"] == "at(2026-11-24T06:00:00)"
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert found["ActionAfterCompletion"] == "DELETE"
    target = found["Target"]
    assert (target["Arn"], target["RoleArn"]) == (TARGET.planner_arn, TARGET.role_arn)
    assert target["DeadLetterConfig"] == {"Arn": TARGET.dead_letter_arn}
    assert json.loads(target["Input"]) == {"mailing_id": SCHEDULED.id}


def test_a_start_that_changed_moves_the_schedule(client: AwsClient, scheduler: EventBridgeScheduler) -> None:
    scheduler.put(SCHEDULED)
    scheduler.put(mailing(start_at=NOW + timedelta(days=2)))
    assert names(client) == [SCHEDULED.id]
    assert schedule(client)["ScheduleExpression"] == "at(2026-11-25T06:00:00)"
    assert schedule(client)["ActionAfterCompletion"] == "DELETE"


@pytest.mark.parametrize(
    ("start_at", "at"),
    [
        (NOW + timedelta(milliseconds=1), "2026-11-23T06:00:01"),
        (NOW + timedelta(milliseconds=999), "2026-11-23T06:00:01"),
        (NOW + timedelta(seconds=1), "2026-11-23T06:00:01"),
        (NOW.astimezone(timezone(timedelta(hours=3))), "2026-11-23T06:00:00"),
        (NOW + timedelta(hours=17, minutes=59, seconds=59.5), "2026-11-24T00:00:00"),
    ],
)
def test_a_schedule_is_in_utc_and_never_early(
    client: AwsClient,
    scheduler: EventBridgeScheduler,
    start_at: datetime,
    at: str,
) -> None:
    scheduler.put(mailing(start_at=start_at))
    assert schedule(client)["ScheduleExpression"] == f"at({at})"


def test_a_schedule_is_taken_away_and_again_nothing_happens(client: AwsClient, scheduler: EventBridgeScheduler) -> None:
    scheduler.put(SCHEDULED)
    scheduler.remove(SCHEDULED.id)
    assert names(client) == []
    scheduler.remove(SCHEDULED.id)


def test_the_planner_is_called_at_once_and_not_waited_for(
    scheduler: EventBridgeScheduler, functions: FakeFunctions
) -> None:
    scheduler.start_now(SCHEDULED.id)
    (call,) = functions.invoked
    assert (call["FunctionName"], call["InvocationType"]) == (TARGET.planner_arn, "Event")
    assert json.loads(call["Payload"]) == {"mailing_id": SCHEDULED.id}


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://lambda"),
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "slow down"}}, "Invoke"),
    ],
)
def test_a_planner_that_cannot_be_called_is_a_passing_error(client: AwsClient, error: Exception) -> None:
    with pytest.raises(TransientError):
        EventBridgeScheduler(client, FakeFunctions(error), TARGET).start_now("m")  # type: ignore[arg-type]


def test_a_scheduler_that_does_not_answer_is_a_passing_error(functions: FakeFunctions) -> None:
    nobody = boto3.client(
        "scheduler",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    scheduler = EventBridgeScheduler(nobody, functions, TARGET)  # type: ignore[arg-type]
    with pytest.raises(TransientError):
        scheduler.put(SCHEDULED)
    with pytest.raises(TransientError):
        scheduler.remove(SCHEDULED.id)
