"""What the queues' event source mappings do on AWS: take tickets, call the function, delete what it has worked off."""

import logging
import os
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.host.calls import Call, Calls
from infra.host.functions import Function
from infra.host.log_shipping import TakeLine

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

WAIT_SECONDS = 2  # that SQS may take to say that there is nothing: so long does it take to stop, too
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 20

Message = Mapping[str, Any]
"""A message as boto3 has it."""

logger = logging.getLogger(__name__)


@dataclass
class Queue:
    """A queue, and how it fares."""

    sqs: "SQSClient"
    url: str
    batch_size: int
    failures: int = 0
    arn: str = ""

    def receive(self, stopping: threading.Event) -> Sequence[Message]:
        """Take what is there, waiting for it; nothing while SQS does not answer, after a pause that grows."""
        try:
            if not self.arn:
                attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
                self.arn = attributes["Attributes"]["QueueArn"]
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=self.batch_size,
                WaitTimeSeconds=WAIT_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            if self.failures == 0:
                logger.warning("queue does not answer, asked again", extra={"queue": self.url, "error": str(error)})
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self.failures, 10))
            self.failures += 1
            stopping.wait(random.uniform(0, pause))  # noqa: S311 - so that many hosts do not ask in step
            return []
        if self.failures:
            logger.warning("queue answers again", extra={"queue": self.url, "failures": self.failures})
        self.failures = 0
        return answer.get("Messages", [])

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that stays for whatever reason comes again, which changes nothing."""
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]} for index, message in enumerate(messages)
        ]
        try:
            refused: Sequence[Any] = self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries).get("Failed", [])  # type: ignore[arg-type]
        except (BotoCoreError, ClientError) as error:
            refused = [error]
        if refused:
            extra = {"queue": self.url, "tickets": len(messages), "error": str(refused[0])}
            logger.warning("tickets not deleted, they come again", extra=extra)


@dataclass
class Consumer:
    """Works off a queue, several batches at once."""

    queue: Queue
    calls: Calls

    def __call__(self, stopping: threading.Event) -> None:
        """Do so until told to stop; what is in hand then is finished."""
        try:
            while not stopping.is_set():
                # Nothing is taken that would have to wait: another host may have room for it.
                if self.calls.wait_for_room(WAIT_SECONDS) and (messages := self.queue.receive(stopping)):
                    self.calls.begin(partial(self._work_off, messages))
        finally:
            self.calls.end()

    def _work_off(self, messages: Sequence[Message], call: Call) -> None:
        """Call the function; if that fails, all its tickets come again once their visibility timeout is over."""
        answer = call({"Records": [_record(message, self.queue.arn) for message in messages]})
        failed = _failed(answer, {message["MessageId"] for message in messages})
        if done := [message for message in messages if message["MessageId"] not in failed]:
            self.queue.delete(done)


def _record(message: Message, arn: str) -> dict[str, Any]:
    """Make of a message what Lambda makes of it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value["DataType"],
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }


def _failed(answer: Any, ids: set[str]) -> set[str]:  # noqa: ANN401 - what a function returned
    """Read which messages of a batch must come again; where others are named all of them, as on Lambda."""
    failed = {item["itemIdentifier"] for item in (answer or {}).get("batchItemFailures") or []}
    return ids if failed - ids else failed


def loops_of_worker(
    functions: Sequence[Function], sqs: "SQSClient", take_line: TakeLine, processes: int | None
) -> list[Consumer]:
    """Make what works off all queues of these functions; `processes` goes above the template's concurrency."""
    return [
        Consumer(
            Queue(sqs, os.environ[source.url_variable], source.batch_size),
            Calls(function, processes or source.concurrency, take_line),
        )
        for function in functions
        for source in function.sources
    ]
