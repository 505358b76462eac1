"""Tickets over SQS."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.adapters.queues import QueueUrls, SqsTicketQueue
from chalicelib.correlation import correlated
from chalicelib.domain.figures import QueueDepth
from chalicelib.domain.tickets import ImportTicket, MessagesTicket, SegmentTicket, read
from chalicelib.errors import TransientError
from tests.builders import mailing, ulid

AwsClient = Any  # boto3's clients are made at run time
MAILING = mailing()
EXPRESS = mailing(express=True)
NONE = timedelta()
IMPORT = ulid(200)


@pytest.fixture
def client() -> Iterator[AwsClient]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def urls(client: AwsClient) -> QueueUrls:
    names = ("plan", "plan_dlq", "send", "send_dlq", "express", "imports", "imports_dlq")
    return QueueUrls(**{name: client.create_queue(QueueName=name)["QueueUrl"] for name in names})


@pytest.fixture
def tickets(client: AwsClient, urls: QueueUrls) -> SqsTicketQueue:
    return SqsTicketQueue(client, urls)


def received(client: AwsClient, url: str) -> list[dict[str, Any]]:
    """Receive all that is visible."""
    found: list[dict[str, Any]] = []
    while more := client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, MessageAttributeNames=["All"]
    ).get("Messages"):
        found += more
    return found


def bodies(client: AwsClient, url: str) -> list[str]:
    return [message["Body"] for message in received(client, url)]


def test_tickets_for_messages_are_queued_for_the_sender(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    tickets.send_messages(MAILING, [([1, 2, 2**53 - 1], NONE)])
    (body,) = bodies(client, urls.send)
    assert json.loads(body) == {"v": 1, "mailing_id": MAILING.id, "message_ids": [1, 2, 2**53 - 1]}
    assert bodies(client, urls.express) == []


def test_a_ticket_carries_the_id_of_the_work_that_queues_it_beside_its_body(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    with correlated("call", mailing_id=MAILING.id):
        tickets.send_messages(MAILING, [([1], NONE)])
        tickets.send_segments(MAILING.id, ["plan#00"])
        tickets.dead_letter_messages("{", "unreadable ticket")
    tickets.send_messages(EXPRESS, [([1], NONE)])

    for url in (urls.send, urls.plan, urls.send_dlq):
        (letter,) = received(client, url)
        assert letter["MessageAttributes"]["correlation_id"] == {"DataType": "String", "StringValue": "call"}
        assert "call" not in letter["Body"]
    (without,) = received(client, urls.express)
    assert "MessageAttributes" not in without


def test_tickets_of_a_small_mailing_have_a_queue_of_their_own(
    client: AwsClient,
    urls: QueueUrls,
    tickets: SqsTicketQueue,
) -> None:
    tickets.send_messages(EXPRESS, [([1], NONE)])
    assert len(bodies(client, urls.express)) == 1
    assert bodies(client, urls.send) == []


def test_more_tickets_than_a_batch_holds_are_all_queued(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    tickets.send_messages(MAILING, [([number], NONE) for number in range(1, 26)])
    queued = [read(MessagesTicket, body) for body in bodies(client, urls.send)]
    assert sorted(ticket.message_ids[0] for ticket in queued) == list(range(1, 26))


def test_a_segment_has_a_ticket_that_the_planner_can_read(
    client: AwsClient,
    urls: QueueUrls,
    tickets: SqsTicketQueue,
) -> None:
    tickets.send_segments(MAILING.id, ["plan#00", "plan#01"])
    queued = [read(SegmentTicket, body) for body in bodies(client, urls.plan)]
    assert {ticket.segment for ticket in queued} == {"plan#00", "plan#01"}
    assert {ticket.mailing_id for ticket in queued} == {MAILING.id}


def test_an_import_has_a_ticket_that_the_importer_can_read(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    tickets.send_import(IMPORT)
    tickets.dead_letter_import("no json", "a cause")
    (message,) = client.receive_message(QueueUrl=urls.imports)["Messages"]
    assert read(ImportTicket, message["Body"]) == ImportTicket(v=1, import_ids=[IMPORT])
    (letter,) = client.receive_message(QueueUrl=urls.imports_dlq, MessageAttributeNames=["cause"])["Messages"]
    assert (letter["Body"], letter["MessageAttributes"]["cause"]["StringValue"]) == ("no json", "a cause")


def test_a_ticket_of_a_segment_can_be_delayed(client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue) -> None:
    tickets.send_segments(MAILING.id, ["follow#000003#1#00"])
    tickets.send_segments(MAILING.id, ["follow#000003#2#00"], timedelta(minutes=15))
    assert [read(SegmentTicket, body).segment for body in bodies(client, urls.plan)] == ["follow#000003#1#00"]
    delayed = client.get_queue_attributes(QueueUrl=urls.plan, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert delayed["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_no_tickets_are_no_call(tickets: SqsTicketQueue) -> None:
    tickets.send_messages(MAILING, [])
    tickets.send_segments(MAILING.id, [])
    assert tickets.backlog() == 0


class SpyClient:
    """Remembers batches and answers them as told: with ids of refused entries, or an error."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self._answers = list(answers)

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "send"
        self.batches.append(Entries)
        answer = self._answers.pop(0) if self._answers else []
        if isinstance(answer, Exception):
            raise answer
        return {"Failed": [{"Id": id_, "Code": "InternalError"} for id_ in answer]} if answer else {}

    def get_queue_attributes(self, **_: object) -> dict[str, Any]:
        raise UNREACHABLE

    def send_message(self, **_: object) -> None:
        raise UNREACHABLE


UNREACHABLE = EndpointConnectionError(endpoint_url="http://sqs")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch")


def spied(client: SpyClient) -> SqsTicketQueue:
    urls = QueueUrls(**{field.name: field.name for field in dataclasses.fields(QueueUrls)})
    return SqsTicketQueue(client, urls)  # type: ignore[arg-type]


@pytest.mark.parametrize(("delay", "seconds"), [(0, 0), (0.001, 1), (7, 7), (7.2, 8), (900, 900)])
def test_a_ticket_is_delayed_by_whole_seconds_and_never_early(delay: float, seconds: int) -> None:
    client = SpyClient()
    spied(client).send_messages(MAILING, [([1], timedelta(seconds=delay))])
    assert client.batches[0][0]["DelaySeconds"] == seconds


def test_entries_that_sqs_refused_are_sent_again_alone() -> None:
    client = SpyClient(["1", "3"], ["3"])
    spied(client).send_messages(MAILING, [([number], NONE) for number in range(1, 6)])
    sent = [[json.loads(entry["MessageBody"])["message_ids"][0] for entry in batch] for batch in client.batches]
    assert sent == [[1, 2, 3, 4, 5], [2, 4], [4]]


def test_entries_that_stay_refused_are_an_error() -> None:
    client = SpyClient(["0"], ["0"], ["0"])
    with pytest.raises(TransientError, match="InternalError"):
        spied(client).send_messages(MAILING, [([1], NONE)])
    assert len(client.batches) == 3


@pytest.mark.parametrize("error", [UNREACHABLE, DENIED])
def test_a_queue_that_does_not_take_tickets_is_a_passing_error(error: Exception) -> None:
    with pytest.raises(TransientError):
        spied(SpyClient(error)).send_messages(MAILING, [([1], NONE)])


def test_a_queue_that_does_not_answer_is_a_passing_error() -> None:
    tickets = spied(SpyClient())
    with pytest.raises(TransientError):
        tickets.backlog()
    with pytest.raises(TransientError):
        tickets.dead_letter_messages("body", "cause")


def test_the_backlog_is_what_waits_in_both_queues_of_the_sender(tickets: SqsTicketQueue) -> None:
    tickets.send_messages(MAILING, [([1], NONE), ([2], NONE)])
    tickets.send_messages(EXPRESS, [([3], NONE)])
    tickets.send_messages(MAILING, [([4], timedelta(minutes=1))])
    tickets.send_segments(MAILING.id, ["plan#00"])
    assert tickets.backlog() == 3
    assert tickets.waiting() == {"send": 3, "express": 1, "plan": 1, "import": 0}


def test_what_cannot_be_read_is_set_aside_with_its_cause(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    tickets.dead_letter_messages("no json", "unreadable ticket: v: wrong")
    tickets.dead_letter_segment("{}", "unreadable ticket: segment: missing")
    for url, body, cause in (
        (urls.send_dlq, "no json", "unreadable ticket: v: wrong"),
        (urls.plan_dlq, "{}", "unreadable ticket: segment: missing"),
    ):
        (message,) = received(client, url)
        assert message["Body"] == body
        assert message["MessageAttributes"]["cause"]["StringValue"] == cause


def test_tickets_are_told_apart_by_what_they_wait_for(
    client: AwsClient, urls: QueueUrls, tickets: SqsTicketQueue
) -> None:
    tickets.send_messages(EXPRESS, [([1], NONE), ([2], NONE), ([3], timedelta(minutes=1))])
    client.receive_message(QueueUrl=urls.express, MaxNumberOfMessages=1)
    depths = dict(tickets.depths())
    assert depths.pop("express") == QueueDepth(visible=1, delayed=1, in_flight=1)
    assert depths == dict.fromkeys(("send", "plan", "import"), QueueDepth())
