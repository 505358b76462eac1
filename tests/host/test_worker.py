"""Queues worked off: SQS by moto, the function in processes of its own with a stand-in for app.py."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from infra.host.calls import Calls
from infra.host.functions import functions
from infra.host.worker import Consumer, Message, Queue, loops_of_worker
from tests.host.conftest import function
from tests.running_stack import poll

AwsClient = Any  # boto3's clients are made at run time
VISIBILITY_SECONDS = 60
COMES_AGAIN_AFTER = {"VisibilityTimeout": "2"}


@pytest.fixture
def sqs() -> Iterator[AwsClient]:
    with mock_aws():
        yield boto3.client("sqs", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def url(sqs: AwsClient) -> str:
    attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
    return str(sqs.create_queue(QueueName="vestnik-send", Attributes=attributes)["QueueUrl"])


@pytest.fixture
def run(lines: list[str]) -> Iterator[Callable[[Queue], threading.Thread]]:
    """Start what works a queue off, two batches at once."""
    started: list[tuple[threading.Event, threading.Thread]] = []

    def start(queue: Queue) -> threading.Thread:
        calls = Calls(function(), 2, lambda _, line: lines.append(line.decode().strip()))
        stopping = threading.Event()
        thread = threading.Thread(target=Consumer(queue, calls), args=(stopping,))
        thread.start()
        started.append((stopping, thread))
        return thread

    yield start
    for stopping, thread in started:
        stopping.set()
        thread.join(60)
        assert not thread.is_alive()


def waiting(sqs: AwsClient, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        int(number) for number in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
    )


def send(sqs: AwsClient, url: str, *bodies: str) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)


def seen(lines: list[str], body: str) -> int:
    return lines.count(f"body {body}")


Run = Callable[[Queue], threading.Thread]


def test_what_is_worked_off_is_deleted(sqs: AwsClient, url: str, run: Run, lines: list[str]) -> None:
    bodies = [str(number) for number in range(25)]
    send(sqs, url, *bodies)
    run(Queue(sqs, url, 10))

    poll(lambda: waiting(sqs, url), until=lambda left: left == 0, deadline_seconds=60)

    assert sorted(line for line in lines if line.startswith("body")) == sorted(f"body {body}" for body in bodies)


def test_only_what_failed_of_a_batch_comes_again(sqs: AwsClient, url: str, run: Run, lines: list[str]) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes=COMES_AGAIN_AFTER)
    send(sqs, url, "a", "fail", "b")
    run(Queue(sqs, url, 10))

    poll(lambda: seen(lines, "fail"), until=lambda times: times >= 3, deadline_seconds=60)

    poll(lambda: waiting(sqs, url), until=lambda left: left == 1, deadline_seconds=20)
    assert {"body a", "body b"} < set(lines)


@pytest.mark.parametrize("poison", ["raise", "die", "nonsense"])
def test_whole_batch_comes_again_when_its_call_fails(
    sqs: AwsClient, url: str, run: Run, lines: list[str], caplog: pytest.LogCaptureFixture, *, poison: str
) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes=COMES_AGAIN_AFTER)
    send(sqs, url, "a", poison)
    run(Queue(sqs, url, 1 if poison == "nonsense" else 10))

    def failures() -> int:
        return max(seen(lines, poison), [record.message for record in caplog.records].count("call failed"))

    poll(failures, until=lambda times: times >= 2, deadline_seconds=60)

    poll(lambda: waiting(sqs, url), until=lambda left: left == (1 if poison == "nonsense" else 2), deadline_seconds=20)


def test_records_are_as_lambda_makes_them(sqs: AwsClient, url: str) -> None:
    events: list[Any] = []
    attribute = {"correlation_id": {"StringValue": "mine-1", "DataType": "String"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=attribute)
    queue = Queue(sqs, url, 10)
    messages = queue.receive(threading.Event())

    Consumer(queue, None)._work_off(messages, events.append)  # type: ignore[arg-type]

    ((record,),) = (event["Records"] for event in events)
    assert record.pop("receiptHandle")
    attributes = record.pop("attributes")
    assert attributes["ApproximateReceiveCount"] == "1"
    assert int(attributes["SentTimestamp"]) > 0
    assert record == {
        "messageId": sent["MessageId"],
        "body": "{}",
        "messageAttributes": {
            "correlation_id": {
                "stringValue": "mine-1",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:vestnik-send",
        "awsRegion": "eu-west-1",
    }
    assert waiting(sqs, url) == 0


class Flaky:
    """SQS that fails as often as it is told to."""

    def __init__(self, sqs: AwsClient, failures: int) -> None:
        self._sqs = sqs
        self.left = failures

    def __getattr__(self, name: str) -> AwsClient:
        if self.left:
            self.left -= 1
            nobody = boto3.client(
                "sqs",
                endpoint_url="http://127.0.0.1:9",
                region_name="eu-west-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
            )
            return getattr(nobody, name)
        return getattr(self._sqs, name)


def test_queue_that_does_not_answer_is_asked_again_and_that_is_said_once(
    sqs: AwsClient, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    def shortest(low: float, high: float) -> float:
        pauses.append(high)
        return low

    monkeypatch.setattr(random, "uniform", shortest)
    send(sqs, url, "a")
    queue = Queue(Flaky(sqs, 8), url, 10)  # type: ignore[arg-type]

    found = [queue.receive(threading.Event()) for _ in range(9)]

    assert [len(messages) for messages in found] == [0] * 8 + [1]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert [record.message for record in caplog.records] == [
        "queue does not answer, asked again",
        "queue answers again",
    ]


def test_ticket_that_cannot_be_deleted_is_no_failure(
    sqs: AwsClient, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    send(sqs, url, "a")
    queue = Queue(sqs, url, 10)
    messages = queue.receive(threading.Event())

    Queue(Flaky(sqs, 1), url, 10).delete(messages)  # type: ignore[arg-type]
    queue.delete([{"ReceiptHandle": "nobody's"}])

    assert [record.message for record in caplog.records] == ["tickets not deleted, they come again"] * 2
    assert waiting(sqs, url) == 1


class ToldToStop(Queue):
    """A queue whose host is told to stop when it has just taken something, and another ticket comes."""

    def receive(self, stopping: threading.Event) -> Sequence[Message]:
        messages = super().receive(stopping)
        if messages:
            stopping.set()
            send(self.sqs, self.url, "b")
        return messages


def test_what_is_in_hand_is_finished_when_it_is_told_to_stop(
    sqs: AwsClient, url: str, run: Run, lines: list[str]
) -> None:
    send(sqs, url, "a")

    working = run(ToldToStop(sqs, url, 10))

    working.join(60)
    assert not working.is_alive()
    assert (seen(lines, "a"), seen(lines, "b")) == (1, 0)
    assert waiting(sqs, url) == 1


def test_each_queue_has_as_many_processes_as_the_template_says_or_as_asked(sqs: AwsClient) -> None:
    def sizes(processes: int | None) -> list[int]:
        made = loops_of_worker([functions()["sender"]], sqs, lambda *_: None, processes)
        return [len(consumer.calls._processes) for consumer in made]

    assert (sizes(None), sizes(3)) == ([5, 5], [3, 3])
