"""The dead-letter queues (port: `DeadLetters`)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.adapters.dynamodb import chunks
from chalicelib.adapters.vendor_errors import translated
from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10
_WAITING: Any = "ApproximateNumberOfMessages"


class SqsDeadLetters:
    """Dead letters over SQS."""

    def __init__(
        self,
        client: "SQSClient",
        urls: Mapping[DeadQueue, str],
        sources: Mapping[DeadQueue, str],
        *,
        wait_seconds: int = 1,
    ) -> None:
        """Know where dead letters lie and where they came from.

        `wait_seconds` is for the end of a queue: without waiting, SQS asks only some of its servers, and what it
        answers may be nothing though there is something.
        """
        self._client = client
        self._urls = urls
        self._sources = sources
        self._wait_seconds = wait_seconds

    def receive(self, queue: DeadQueue, hidden_for: timedelta) -> Sequence[DeadLetter]:
        """Receive up to ten letters and hide them from everybody else for a while."""
        with translated():
            answer = self._client.receive_message(
                QueueUrl=self._urls[queue],
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=int(hidden_for.total_seconds()),
                WaitTimeSeconds=self._wait_seconds,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["cause", "ERROR_CODE"],
            )
        return [_letter(queue, message) for message in answer.get("Messages", ())]

    def give_back(self, letters: Sequence[DeadLetter]) -> None:
        """Show letters again at once."""
        for queue, url in self._urls.items():
            for chunk in chunks([letter for letter in letters if letter.queue is queue], _BATCH):
                entries: Any = [
                    {"Id": str(index), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                    for index, letter in enumerate(chunk)
                ]
                with translated():
                    answer = self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
                if answer.get("Failed"):
                    raise TransientError(f"SQS does not take letters back: {json.dumps(answer['Failed'])}")

    def put_back(self, letter: DeadLetter) -> None:
        """Send the body of a ticket, as it is, to the queue that its dead-letter queue belongs to."""
        with translated():
            self._client.send_message(QueueUrl=self._sources[letter.queue], MessageBody=letter.body)

    def delete(self, letter: DeadLetter) -> None:
        """Delete a letter that was received."""
        with translated():
            self._client.delete_message(QueueUrl=self._urls[letter.queue], ReceiptHandle=letter.receipt)

    def waiting(self, queue: DeadQueue) -> int:
        """Count the letters that are not hidden, approximately."""
        with translated():
            answer = self._client.get_queue_attributes(QueueUrl=self._urls[queue], AttributeNames=[_WAITING])
        return int(answer["Attributes"][_WAITING])


def _letter(queue: DeadQueue, message: Any) -> DeadLetter:  # noqa: ANN401 - a message of boto3
    return DeadLetter(
        id=message["MessageId"],
        queue=queue,
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        noted=_noted(message.get("MessageAttributes", {})),
    )


def _noted(attributes: Mapping[str, Any]) -> str | None:
    """Read the cause that our functions give along, or the code that EventBridge Scheduler does."""
    if "cause" in attributes:
        return str(attributes["cause"]["StringValue"])
    if "ERROR_CODE" in attributes:
        return f"EventBridge Scheduler could not call the planner: {attributes['ERROR_CODE']['StringValue']}"
    return None
