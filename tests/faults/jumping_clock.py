"""A clock that jumps, and queues whose tickets wait by it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.bootstrap import utc_now
from chalicelib.ports import Clock

RECEIVES = 5  # then a ticket is a dead letter, as infra/template.yaml has it
NEVER_BACK_SECONDS = 43_200  # what a queue in SQS waits before it shows a ticket again: we do that
_DUE = "due"


class JumpingClock:
    """The clock on the wall, and as far ahead of it as it was told to jump."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.at_each_look = timedelta()
        """By how much it jumps whenever somebody looks at it: everything takes that long."""

    def __call__(self) -> datetime:
        self._ahead += self.at_each_look
        return utc_now() + self._ahead

    def jump(self, by: timedelta) -> None:
        self._ahead += by


@dataclass
class Ticket:
    """A ticket that we have received for a function, and not deleted yet."""

    id: str
    receipt: str
    body: str
    visible_at: datetime
    receives: int = 0


@dataclass
class JumpingQueue:
    """A queue of SQS, of which we have received all there is: what waits in it, waits by our clock.

    Attributes:
        sqs: a boto3 client.
        name: of the queue; its dead-letter queue has `-dlq` behind it.
        clock: by which delays and visibility timeouts end.
        timeout: the visibility timeout.
    """

    sqs: Any
    name: str
    clock: Clock
    timeout: timedelta
    _tickets: dict[str, Ticket] = field(default_factory=dict)

    def take(self, limit: int) -> list[Ticket]:
        """Take tickets that are visible; they come back after the timeout unless they are settled."""
        self._receive()
        now = self.clock()
        taken = [ticket for ticket in self._tickets.values() if ticket.visible_at <= now][:limit]
        for ticket in taken:
            ticket.receives += 1
            ticket.visible_at = now + self.timeout
        return taken

    def settle(self, ticket: Ticket, *, done: bool) -> None:
        """Delete a ticket that is done; one that has failed often enough becomes a dead letter."""
        if not done and ticket.receives < RECEIVES:
            return
        if not done:
            self.sqs.send_message(QueueUrl=self._url(f"{self.name}-dlq"), MessageBody=ticket.body)
        self.sqs.delete_message(QueueUrl=self._url(self.name), ReceiptHandle=ticket.receipt)
        del self._tickets[ticket.id]

    def put(self, body: str) -> None:
        """Put a ticket into the queue."""
        self.sqs.send_message(QueueUrl=self._url(self.name), MessageBody=body)

    def lose(self) -> None:
        """Lose all tickets."""
        self._receive()
        for ticket in list(self._tickets.values()):
            self.settle(ticket, done=True)

    def dead_letters(self) -> list[dict[str, Any]]:
        """Read what lies in the dead-letter queue, once."""
        return list(self._received(f"{self.name}-dlq"))

    def _receive(self) -> None:
        for one in self._received(self.name):
            due = one.get("MessageAttributes", {}).get(_DUE)
            visible_at = datetime.fromisoformat(due["StringValue"]) if due else self.clock()
            self._tickets[one["MessageId"]] = Ticket(one["MessageId"], one["ReceiptHandle"], one["Body"], visible_at)

    def _received(self, queue: str) -> Iterator[dict[str, Any]]:
        asked = {"QueueUrl": self._url(queue), "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
        while received := self.sqs.receive_message(**asked).get("Messages"):
            yield from received

    def _url(self, queue: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=queue)["QueueUrl"])


def keep_delays(sqs: Any, clock: Clock) -> None:  # noqa: ANN401 - a boto3 client
    """Have a client write down when a delayed ticket is due, in the place of having SQS wait for it."""

    def keep(params: dict[str, Any], **_: object) -> None:
        params["Entries"] = [_kept(entry, clock()) for entry in params["Entries"]]

    sqs.meta.events.register("before-parameter-build.sqs.SendMessageBatch", keep, unique_id="delays")


def _kept(entry: dict[str, Any], now: datetime) -> dict[str, Any]:
    due = (now + timedelta(seconds=entry["DelaySeconds"])).isoformat()
    return entry | {"DelaySeconds": 0, "MessageAttributes": {_DUE: {"DataType": "String", "StringValue": due}}}
