"""What the queues' event source mappings do on AWS: take tickets, call the function, delete what it has worked off."""

import logging
import os
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.host.function_process import CallError, FunctionProcess
from infra.host.functions import Function
from infra.host.log_shipping import TakeLine

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

WAIT_SECONDS = 2  # that SQS may take to say that there is nothing: so long does it take to stop, too
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 20

logger = logging.getLogger(__name__)


@dataclass
class Queue:
    """A queue, and how it fares; one of those who work it off asks it at a time, so that the others cost nothing."""

    sqs: "SQSClient"
    url: str
    batch_size: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    failures: int = 0
    arn: str = ""

    def receive(self, stopping: threading.Event) -> "Sequence[MessageTypeDef]":
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

    def delete(self, messages: "Sequence[MessageTypeDef]") -> None:
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
    """Works off a queue with a process of its own, a batch at a time."""

    queue: Queue
    process: FunctionProcess

    def __call__(self, stopping: threading.Event) -> None:
        """Do so until told to stop; what is in hand then is finished."""
        try:
            while not stopping.is_set():
                with self.queue.turn:
                    messages = [] if stopping.is_set() else self.queue.receive(stopping)
                if messages:
                    self._work_off(messages)
        finally:
            self.process.end()

    def _work_off(self, messages: "Sequence[MessageTypeDef]") -> None:
        event = {"Records": [_record(message, self.queue.arn) for message in messages]}
        try:
            answer = self.process.call(event)
        except CallError as error:
            extra = {"queue": self.queue.url, "tickets": len(messages), "error": str(error)}
            logger.error("call failed, its tickets come again", extra=extra)  # noqa: TRY400 - it says all
            return
        failed = _failed(answer, {message["MessageId"] for message in messages})
        if done := [message for message in messages if message["MessageId"] not in failed]:
            self.queue.delete(done)


def _record(message: "MessageTypeDef", arn: str) -> dict[str, Any]:
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


def _failed(answer: Mapping[str, Any] | None, ids: set[str]) -> set[str]:
    """Read which messages of a batch must come again: all of them where the answer cannot be read, as on Lambda."""
    items = (answer or {}).get("batchItemFailures") or []
    failed = {item.get("itemIdentifier") for item in items}
    return ids if failed - ids else failed


def loops_of_worker(
    functions: Sequence[Function], sqs: "SQSClient", take_line: TakeLine, processes: int | None
) -> list[Consumer]:
    """Make what works off all queues of these functions; `processes` goes above the template's concurrency."""
    return [
        Consumer(queue, FunctionProcess(function, take_line))
        for function in functions
        for source in function.sources
        for queue in [Queue(sqs, os.environ[source.url_variable], source.batch_size)]
        for _ in range(processes or source.concurrency)
    ]
