"""What the port `DeadLetters` promises, of the adapter and of its fake; and what SQS has besides."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.adapters.dead_letter_queues import SqsDeadLetters
from chalicelib.bootstrap import utc_now
from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.errors import TransientError
from chalicelib.ports import DeadLetters
from tests.builders import NOW
from tests.fakes.dead_letters import FakeDeadLetters

AwsClient = Any  # boto3's clients are made at run time
HOUR = timedelta(hours=1)
LETTER = DeadLetter("id", DeadQueue.SEND, "body", "receipt", NOW)
SOURCES = (DeadQueue.PLAN, DeadQueue.SEND, DeadQueue.EXPRESS, DeadQueue.IMPORT)


@pytest.fixture
def client() -> Iterator[AwsClient]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def urls(client: AwsClient) -> Mapping[DeadQueue, str]:
    return {queue: client.create_queue(QueueName=f"{queue}-dlq")["QueueUrl"] for queue in DeadQueue}


@pytest.fixture
def sources(client: AwsClient) -> Mapping[DeadQueue, str]:
    return {queue: client.create_queue(QueueName=queue)["QueueUrl"] for queue in SOURCES}


@pytest.fixture
def queues(client: AwsClient, urls: Mapping[DeadQueue, str], sources: Mapping[DeadQueue, str]) -> SqsDeadLetters:
    return SqsDeadLetters(client, urls, sources, wait_seconds=0)


@dataclass(frozen=True)
class Case:
    """One implementation, a way to lay a letter down, and what was sent to where it came from."""

    letters: DeadLetters
    add: Callable[[DeadQueue, str], object]
    put_backs: Callable[[DeadQueue], list[str]]


@pytest.fixture(params=["sqs", "fake"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "fake":
        fake = FakeDeadLetters(utc_now)
        return Case(fake, fake.add, lambda queue: [body for at, body in fake.put_backs if at is queue])
    client, urls = request.getfixturevalue("client"), request.getfixturevalue("urls")
    sources = request.getfixturevalue("sources")
    return Case(
        request.getfixturevalue("queues"),
        lambda queue, body: client.send_message(QueueUrl=urls[queue], MessageBody=body),
        lambda queue: [message["Body"] for message in received(client, sources[queue])],
    )


def received(client: AwsClient, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return found


def everything(letters: DeadLetters, queue: DeadQueue) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while more := letters.receive(queue, HOUR):
        found += more
    return found


def test_letters_are_received_with_their_queue_and_time(case: Case) -> None:
    before = utc_now() - timedelta(seconds=1)
    case.add(DeadQueue.EXPRESS, "one")
    (letter,) = case.letters.receive(DeadQueue.EXPRESS, HOUR)
    assert (letter.queue, letter.body, letter.noted) == (DeadQueue.EXPRESS, "one", None)
    assert letter.id
    assert before <= letter.sent_at <= utc_now()
    assert everything(case.letters, DeadQueue.SEND) == []


def test_received_letters_are_hidden_until_they_are_given_back(case: Case) -> None:
    for queue in (DeadQueue.SEND, DeadQueue.PLAN):
        for number in range(25):
            case.add(queue, str(number))
    assert case.letters.waiting(DeadQueue.SEND) == 25
    held = everything(case.letters, DeadQueue.SEND)
    assert sorted(letter.body for letter in held) == sorted(map(str, range(25)))
    assert case.letters.receive(DeadQueue.SEND, HOUR) == []
    assert (case.letters.waiting(DeadQueue.SEND), case.letters.waiting(DeadQueue.PLAN)) == (0, 25)
    case.letters.give_back([*held, *everything(case.letters, DeadQueue.PLAN)])
    again = everything(case.letters, DeadQueue.SEND)
    assert {letter.id for letter in again} == {letter.id for letter in held}
    assert case.letters.waiting(DeadQueue.PLAN) == 25


def test_nothing_can_be_given_back(case: Case) -> None:
    case.letters.give_back([])


def test_a_deleted_letter_is_gone(case: Case) -> None:
    for body in ("stays", "goes"):
        case.add(DeadQueue.SEND, body)
    held = {letter.body: letter for letter in everything(case.letters, DeadQueue.SEND)}
    case.letters.delete(held["goes"])
    case.letters.give_back([held["stays"]])
    assert [letter.body for letter in everything(case.letters, DeadQueue.SEND)] == ["stays"]
    with pytest.raises(TransientError):
        case.letters.give_back([held["goes"]])


@pytest.mark.parametrize("queue", SOURCES)
def test_a_body_is_put_back_as_it_is_where_it_came_from(case: Case, queue: DeadQueue) -> None:
    case.add(queue, 'no "json" ☃')
    (letter,) = case.letters.receive(queue, HOUR)
    case.letters.put_back(letter)
    assert {source: case.put_backs(source) for source in SOURCES} == {
        source: ['no "json" ☃'] if source is queue else [] for source in SOURCES
    }


def test_the_cause_comes_along_and_is_not_put_back(
    client: AwsClient,
    urls: Mapping[DeadQueue, str],
    sources: Mapping[DeadQueue, str],
    queues: SqsDeadLetters,
) -> None:
    noted: Any = {"cause": {"DataType": "String", "StringValue": "unreadable ticket: v: wrong"}}
    client.send_message(QueueUrl=urls[DeadQueue.SEND], MessageBody="x", MessageAttributes=noted)
    (letter,) = queues.receive(DeadQueue.SEND, HOUR)
    assert letter.noted == "unreadable ticket: v: wrong"
    queues.put_back(letter)
    (message,) = client.receive_message(QueueUrl=sources[DeadQueue.SEND], MessageAttributeNames=["All"])["Messages"]
    assert "MessageAttributes" not in message


def test_of_a_failed_schedule_the_code_is_told_and_not_the_words(
    client: AwsClient, urls: Mapping[DeadQueue, str], queues: SqsDeadLetters
) -> None:
    told = {"ERROR_CODE": "AccessDeniedException", "ERROR_MESSAGE": "a long story", "SCHEDULE_ARN": "arn:aws:..."}
    attributes: Any = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    client.send_message(QueueUrl=urls[DeadQueue.SCHEDULE], MessageBody="{}", MessageAttributes=attributes)
    (letter,) = queues.receive(DeadQueue.SCHEDULE, HOUR)
    assert letter.noted == "EventBridge Scheduler could not call the planner: AccessDeniedException"


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://sqs"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ReceiveMessage"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda letters: letters.receive(DeadQueue.SEND, HOUR),
        lambda letters: letters.give_back([LETTER]),
        lambda letters: letters.put_back(LETTER),
        lambda letters: letters.delete(LETTER),
        lambda letters: letters.waiting(DeadQueue.SEND),
    ],
)
def test_a_queue_that_does_not_answer_is_a_passing_error(
    call: Callable[[SqsDeadLetters], object], error: Exception
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Callable[..., None]:
            def call(**_: object) -> None:
                raise error

            return call

    urls = dict.fromkeys(DeadQueue, "url")
    with pytest.raises(TransientError):
        call(SqsDeadLetters(Broken(), urls, urls))  # type: ignore[arg-type]


def test_letters_are_received_hidden_for_whole_seconds_and_waited_for() -> None:
    asked: list[dict[str, Any]] = []

    class Spy:
        def receive_message(self, **call: Any) -> dict[str, Any]:  # noqa: ANN401 - arguments of boto3
            asked.append(call)
            return {}

    letters = SqsDeadLetters(Spy(), {DeadQueue.SEND: "url"}, {})  # type: ignore[arg-type]
    assert letters.receive(DeadQueue.SEND, timedelta(seconds=40)) == []
    (call,) = asked
    assert (call["VisibilityTimeout"], call["WaitTimeSeconds"], call["MaxNumberOfMessages"]) == (40, 1, 10)
