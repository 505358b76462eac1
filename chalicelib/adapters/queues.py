"""The queues of tickets (port: `TicketQueue`)."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters.dynamodb import chunks
from chalicelib.correlation import CORRELATION_ID, current_correlation_id
from chalicelib.domain.figures import QueueDepth
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.tickets import ImportTicket, MailingTicket, MessagesTicket, SegmentTicket
from chalicelib.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10
_TRIES = 3
_DEPTHS = [f"ApproximateNumberOfMessages{which}" for which in ("", "Delayed", "NotVisible")]


@dataclass(frozen=True, slots=True)
class QueueUrls:
    """Where the queues are."""

    plan: str
    plan_dlq: str
    send: str
    send_dlq: str
    express: str
    imports: str
    imports_dlq: str


class SqsTicketQueue:
    """Tickets over SQS, each in the group of its mailing: SQS serves groups fairly, a large one starves no other.

    Each carries the correlation id of the work that queues it. Everything raises `TransientError` when SQS does not
    take it after three tries.
    """

    def __init__(self, client: "SQSClient", urls: QueueUrls) -> None:
        self._client = client
        self._urls = urls

    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        """Queue tickets for messages; a small mailing has a queue in which no large one is ahead of it."""
        self._send(
            self._urls.express if mailing.express else self._urls.send,
            [(MessagesTicket(v=1, mailing_id=mailing.id, message_ids=list(ids)), delay) for ids, delay in tickets],
        )

    def send_segments(self, mailing_id: str, segments: Sequence[str], delay: timedelta = timedelta()) -> None:
        """Queue a plan ticket for each segment."""
        tickets = [SegmentTicket(v=1, mailing_id=mailing_id, segment=segment) for segment in segments]
        self._send(self._urls.plan, [(ticket, delay) for ticket in tickets])

    def send_import(self, import_id: str) -> None:
        """Queue a ticket for an import."""
        self._send(self._urls.imports, [(ImportTicket(v=1, import_ids=[import_id]), timedelta())])

    def dead_letter_messages(self, body: str, cause: str) -> None:
        """Set aside a ticket of the sender that no retry can mend, with its cause."""
        self._dead_letter(self._urls.send_dlq, body, cause)

    def dead_letter_segment(self, body: str, cause: str) -> None:
        """Set aside a plan ticket that no retry can mend, with its cause."""
        self._dead_letter(self._urls.plan_dlq, body, cause)

    def dead_letter_import(self, body: str, cause: str) -> None:
        """Set aside a ticket of the importer that no retry can mend, with its cause."""
        self._dead_letter(self._urls.imports_dlq, body, cause)

    def backlog(self, *, delayed: bool = False) -> int:
        """Count the tickets for the sender that wait, approximately."""
        names = ["ApproximateNumberOfMessages"] + ["ApproximateNumberOfMessagesDelayed"] * delayed
        return sum(self._waiting(url, names) for url in (self._urls.send, self._urls.express))

    def waiting(self) -> Mapping[str, int]:
        """Count the tickets that wait in each queue, with those that wait for their delay, approximately."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        return {queue: self._waiting(url, names) for queue, url in self._queues.items()}

    def depths(self) -> Mapping[str, QueueDepth]:
        """Count the tickets of each queue: a call a queue."""
        return {queue: QueueDepth(*self._counted(url, _DEPTHS)) for queue, url in self._queues.items()}

    @property
    def _queues(self) -> Mapping[str, str]:
        urls = self._urls
        return {"send": urls.send, "express": urls.express, "plan": urls.plan, "import": urls.imports}

    def _waiting(self, url: str, names: Sequence[Any]) -> int:
        return sum(self._counted(url, names))

    def _counted(self, url: str, names: Sequence[Any]) -> Sequence[int]:
        try:
            answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        except (ClientError, BotoCoreError) as error:
            raise TransientError(str(error)) from error
        counts: Mapping[Any, str] = answer["Attributes"]
        return [int(counts[name]) for name in names]

    def _send(self, url: str, tickets: Sequence[tuple[MailingTicket | ImportTicket, timedelta]]) -> None:
        attributes = _attributes(**{CORRELATION_ID: current_correlation_id()})
        for chunk in chunks(tickets, _BATCH):
            entries: Any = [
                {
                    "Id": str(index),
                    "MessageBody": ticket.model_dump_json(),
                    "MessageGroupId": ticket.group,
                    "DelaySeconds": math.ceil(delay.total_seconds()),
                    "MessageAttributes": attributes,
                }
                for index, (ticket, delay) in enumerate(chunk)
            ]
            for _ in range(_TRIES):
                try:
                    answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
                except (ClientError, BotoCoreError) as error:
                    raise TransientError(str(error)) from error
                refused = {failure["Id"] for failure in answer.get("Failed", ())}
                if not refused:
                    break
                entries = [entry for entry in entries if entry["Id"] in refused]
            else:
                raise TransientError(f"SQS refused tickets: {json.dumps(answer['Failed'])}")

    def _dead_letter(self, url: str, body: str, cause: str) -> None:
        attributes = _attributes(cause=cause, **{CORRELATION_ID: current_correlation_id()})
        try:
            self._client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
        except (ClientError, BotoCoreError) as error:
            raise TransientError(str(error)) from error


def _attributes(**values: str | None) -> Any:  # noqa: ANN401 - as boto3 takes them
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items() if value is not None}
