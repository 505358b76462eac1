import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import botocore.endpoint
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.message_repository import DynamoMessageRepository
from chalicelib.adapters.tables import ControlItem, bind
from chalicelib.domain.message import Message, Outcome, Status, ended
from tests.bench.hook.sitecustomize import Recorder
from tests.bench.recorded_calls import HOOK, recorded_calls, recording
from tests.bench.units import UnitMeter
from tests.builders import NOW, mailing, message
from tests.emulator import running_emulator
from tests.tables import create_tables

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
WORKER = {"AWS_LAMBDA_FUNCTION_NAME": "vestnik-sender"}
PROGRAM = """
import sys
print(any(type(finder).__name__ == "WhenImported" for finder in sys.meta_path))
from moto import mock_aws
with mock_aws():
    import boto3
    client = boto3.client("dynamodb")
    try:
        client.get_item(TableName="nothing", Key={"id": {"S": "é\\n"}})
    except client.exceptions.ResourceNotFoundException:
        print("not found")
    print(boto3.client("sqs").create_queue(QueueName="q")["ResponseMetadata"]["HTTPStatusCode"])
"""


def run(folder: Path, environ: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], **AWS, **environ},
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_a_worker_records_its_calls_and_they_answer_as_ever(tmp_path: Path) -> None:
    said = run(tmp_path, recording(tmp_path / "calls") | WORKER)
    assert said == ["True", "not found", "200"]
    got, made = recorded_calls(tmp_path / "calls")
    assert (got.function, got.service, got.operation) == ("vestnik-sender", "dynamodb", "GetItem")
    assert (got.status, got.error) == (400, "ResourceNotFoundException")
    assert got.request == {"TableName": "nothing", "Key": {"id": {"S": "é\n"}}}
    assert got.request_bytes == len(json.dumps(got.request))
    assert 10_000 < got.peak_kib < 1_000_000
    assert 0 < got.cpu_s < made.cpu_s
    assert (made.operation, made.status, made.request, made.answer) == ("CreateQueue", 200, {}, {})
    assert made.at > got.at > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize("missing", ["AWS_LAMBDA_FUNCTION_NAME", "BENCH_CALLS"])
def test_nothing_is_watched_outside_a_worker_of_such_a_run(tmp_path: Path, missing: str) -> None:
    environ = recording(tmp_path / "calls") | WORKER
    del environ[missing]
    assert run(tmp_path, environ) == ["False", "not found", "200"]
    assert not list((tmp_path / "calls").iterdir())


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the workers of an emulator record that runs meanwhile; with our tables, moto having no PartiQL for them."""
    folder = tmp_path_factory.mktemp("recorded") / "calls"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in recording(folder).items():
            patch.setenv(name, value)
        with running_emulator():
            create_tables("bench")
            yield folder
    bind("unbound")


@pytest.fixture
def recorded(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: ARG001 - its tables
    """The calls that this process makes."""
    endpoint: Any = botocore.endpoint.Endpoint
    monkeypatch.setattr(endpoint, "_get_response", endpoint._get_response)  # puts it back
    recorder = Recorder(tmp_path, "bench-sender")
    recorder.watch(endpoint)
    yield tmp_path
    recorder._file.close()


def test_a_function_of_the_emulator_is_recorded(calls: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "import boto3\n\ndef run(event, _):\n    boto3.client('sqs').list_queues()\n")
    functions = boto3.client("lambda")
    functions.create_function(
        FunctionName="asks",
        Runtime=cast("Any", f"python3.{sys.version_info.minor}"),
        Role="arn:aws:iam::000000000000:role/any",
        Handler="app.run",
        Code={"ZipFile": code.getvalue()},
    )
    assert "FunctionError" not in functions.invoke(FunctionName="asks")
    assert [(call.function, call.operation) for call in recorded_calls(calls)] == [("asks", "ListQueues")]


def test_the_repository_takes_eight_units_a_message_a_lease_and_counters(recorded: Path) -> None:
    messages = DynamoMessageRepository(DynamoDB(boto3.client("dynamodb")))
    large = mailing()
    rows = [message(id=number, client_id=f"c{number}", mailing_id=large.id) for number in range(1, 6)]
    messages.plan(large, rows)
    leased = messages.lease(rows, until=NOW + timedelta(seconds=30), version="mine")
    messages.record(large.id, [Outcome(row, sent(row)) for row in leased])
    messages.plan(large, rows[:2])  # a duplicate: its transaction fails

    meter = UnitMeter()
    measured = [(call.operation, meter.measure(call)) for call in recorded_calls(recorded)]
    assert [(operation, units.writes) for operation, units in measured] == [
        ("TransactWriteItems", {"messages": 5 * (2 + 3), "stats": 2}),
        ("BatchExecuteStatement", {"messages": 5}),
        ("TransactWriteItems", {"messages": 5 * (2 + 1), "stats": 2 + 2}),
        ("TransactWriteItems", {"messages": 2 * 2, "stats": 2}),
    ]
    assert not sum(units.assumed for _, units in measured)


def test_calls_of_the_models_are_recorded_too(recorded: Path) -> None:
    ControlItem("breaker", version=1).save(ControlItem.version.does_not_exist())
    ControlItem.get("breaker", consistent_read=True)
    calls = list(recorded_calls(recorded))
    assert Counter(call.operation for call in calls)["PutItem"] == 1
    assert calls[-1].operation == "GetItem"
    assert calls[-1].answer["Item"]["version"] == {"N": "1"}


def test_a_call_without_an_answer_is_recorded_for_each_try(recorded: Path) -> None:
    config = Config(retries={"mode": "standard", "total_max_attempts": 2})
    client = boto3.client("sqs", endpoint_url="http://127.0.0.1:1", config=config)
    with pytest.raises(EndpointConnectionError):
        client.list_queues()
    assert [(call.operation, call.status) for call in recorded_calls(recorded)] == [("ListQueues", None)] * 2


def test_a_line_that_is_not_whole_yet_is_left_for_later(tmp_path: Path) -> None:
    line = json.dumps({"function": "f", "service": "sqs", "operation": "SendMessage", "at": 2.0}) + "\n"
    (tmp_path / "a.jsonl").write_text(line + line[:20])
    (tmp_path / "b.jsonl").write_text(line.replace("2.0", "1.0"))
    assert [call.at.timestamp() for call in recorded_calls(tmp_path)] == [1.0, 2.0]


def test_peak_memory_is_not_that_of_the_process_that_started_it() -> None:
    block = b"x" * 150_000_000
    program = [sys.executable, "-c", "import sitecustomize; print(sitecustomize.peak_kib())"]
    said = subprocess.run(program, env={"PYTHONPATH": str(HOOK)}, capture_output=True, check=True, text=True).stdout
    assert 1_000 < int(said) < len(block) // 1024 // 2


def sent(row: Message) -> Message:
    return replace(ended(row, Status.SENT, expires_at=NOW + timedelta(days=60)), sent_at=NOW, attempts=1)
