"""Vestnik whole in this process: its functions and adapters on an emulator of their own, under a clock that jumps.

Storage and queues are the emulator's. What happens at its time is played here, in the jumping clock's time: Lambda's
event sources with their visibility timeouts, delays of tickets, schedules, the dispatcher's minute, and the
asynchronous call of the planner.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

import app
from chalicelib import observability
from chalicelib.adapters.secrets import Secrets
from chalicelib.adapters.tables import TABLES, bind
from chalicelib.bootstrap import Application, application, utc_now
from chalicelib.config import Settings
from chalicelib.errors import TransientError
from tests.aws_errors import as_response
from tests.emulator import running_emulator
from tests.faults.injected_faults import Wire, wired
from tests.faults.own_provider import OwnProvider, own_provider
from tests.gateway import TOKEN, Answer, Gateway
from tests.tables import create_tables

PREFIX = "sites"
REMEMBER_NOTHING = frozenset({"dynamodb", "scheduler", "tickets"})
TIMEOUTS = {"plan": timedelta(minutes=6), "send": timedelta(minutes=3), "express": timedelta(minutes=3)}
RECEIVES = 5
BATCH = {"plan": 1, "send": 10, "express": 10}
FUNCTION_SECONDS = {"plan": 60, "send": 30, "express": 30, "dispatcher": 60}
TUNING = {"EXPRESS_MAX_CLIENTS": "4", "PLAN_SEGMENTS": "2", "SENDER_THREADS": "4", "LOG_LEVEL": "ERROR"}
_DUE = "due"
_NEVER_BACK_SECONDS = 43_200  # tickets come back when we say so
# Someone must look within these minutes after whatever failed: the longest is a queued row, after 15.
HEALING_MINUTES = (1, 1, 2, 4, 8, 16, 16)

logger = logging.getLogger(__name__)


class JumpingClock:
    """The clock on the wall, and as far ahead of it as it was told to jump."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def jump(self, by: timedelta) -> None:
        self._ahead += by


@dataclass
class _Ticket:
    """A ticket that we have received for a function, and not deleted yet."""

    id: str
    receipt: str
    body: str
    visible_at: datetime
    receives: int = 0


@dataclass
class InProcess:
    """A deployment and its users."""

    wire: Wire
    clock: JumpingClock
    provider: OwnProvider
    client: Callable[[str], Any]
    errors: list[Exception] = field(default_factory=list)
    loses_starts: bool = False
    _starts: list[dict[str, Any]] = field(default_factory=list)
    _tickets: dict[str, dict[str, _Ticket]] = field(default_factory=lambda: {name: {} for name in TIMEOUTS})

    def __post_init__(self) -> None:
        self.wire.played["Invoke"] = self._invoked
        self._sqs, self._scheduler = self.client("sqs"), self.client("scheduler")
        self._handlers = {"plan": app.plan_segment, "send": app.sender, "express": app.sender}
        events = application().tickets._client.meta.events
        events.register("before-parameter-build.sqs.SendMessageBatch", self._keep_delay, unique_id="delays")

    # What users do

    def request(self, method: str, path: str, body: object = None) -> Answer:
        """Call the API."""
        return Gateway(TOKEN)(method, path, body)

    # What Lambda, SQS and EventBridge do

    def work(self) -> None:
        """Call functions until nothing waits at this moment."""
        while self.start() or any(self.work_once(name) for name in TIMEOUTS):
            pass

    def minute(self, minutes: int = 1) -> None:
        """Jump, then fire what is due by then: schedules, and the dispatcher."""
        self.clock.jump(timedelta(minutes=minutes))
        self._fire_schedules()
        self.dispatch()
        self.work()

    def dispatch(self) -> None:
        """Call the dispatcher."""
        self._call(app.dispatcher, _minute_event(), FUNCTION_SECONDS["dispatcher"])

    def heal(self, *, until: Callable[[], bool]) -> bool:
        """Work and jump until it is so; False if it is not although everybody had their turn."""
        self.work()
        for minutes in HEALING_MINUTES:
            if until():
                return True
            self.minute(minutes)
        return until()

    def call_planner(self, event: dict[str, Any]) -> None:
        """Call the planner."""
        self._call(app.planner, event)

    def put(self, queue: str, body: str) -> None:
        """Put a ticket into a queue."""
        self._sqs.send_message(QueueUrl=self._url(queue), MessageBody=body)

    def lose(self, queue: str) -> int:
        """Lose all tickets of a queue; returns how many."""
        self._receive(queue)
        lost = list(self._tickets[queue].values())
        for ticket in lost:
            self._delete(queue, ticket)
        return len(lost)

    def dead_letters(self, queue: str) -> list[dict[str, Any]]:
        """Take what lies in a dead-letter queue."""
        url = self._url(f"{queue}-dlq")
        found: list[dict[str, Any]] = []
        while letters := self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += letters
            for letter in letters:
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
        return found

    def start(self) -> bool:
        """Call the planner with what it was invoked with; False if it was not."""
        starts, self._starts = self._starts, []
        for event in starts:
            self.call_planner(event)
        return bool(starts)

    def _invoked(self, request: AWSPreparedRequest) -> AWSResponse:
        assert isinstance(request.body, (bytes, str))
        if not self.loses_starts:
            self._starts.append(json.loads(request.body))
        return as_response(request.url, (202, {}))

    def _fire_schedules(self) -> None:
        for listed in self._scheduler.list_schedules(GroupName=PREFIX)["Schedules"]:
            named = {"GroupName": PREFIX, "Name": listed["Name"]}
            schedule = self._scheduler.get_schedule(**named)
            at = datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
            if at <= self.clock():
                self._scheduler.delete_schedule(**named)
                self.call_planner(json.loads(schedule["Target"]["Input"]))

    def work_once(self, queue: str, seconds: float | None = None) -> bool:
        """Call the function of a queue with a batch of its visible tickets; False if there are none.

        `seconds` are what the function has left, otherwise its whole time.
        """
        self._receive(queue)
        now = self.clock()
        batch = [ticket for ticket in self._tickets[queue].values() if ticket.visible_at <= now][: BATCH[queue]]
        if not batch:
            return False
        for ticket in batch:
            ticket.receives += 1
            ticket.visible_at = now + TIMEOUTS[queue]
        event = {"Records": [{"messageId": ticket.id, "body": ticket.body} for ticket in batch]}
        report = self._call(self._handlers[queue], event, seconds or FUNCTION_SECONDS[queue])
        failed = {failure["itemIdentifier"] for failure in report["batchItemFailures"]} if report else None
        for ticket in batch:
            if failed is not None and ticket.id not in failed:
                self._delete(queue, ticket)
            elif ticket.receives == RECEIVES:
                self._sqs.send_message(QueueUrl=self._url(f"{queue}-dlq"), MessageBody=ticket.body)
                self._delete(queue, ticket)
        return True

    def _call(self, handler: Callable[..., Any], event: dict[str, Any], seconds: float = 60) -> Any:  # noqa: ANN401
        """Call a function as Lambda does; None if it failed, and then its event may be lost."""
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000)
        try:
            return handler(event, context)
        except TransientError as error:
            logger.info("function failed", exc_info=error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the scenario goes on, and then tells of it
            self.errors.append(error)
        return None

    def _receive(self, queue: str) -> None:
        while received := self._sqs.receive_message(
            QueueUrl=self._url(queue), MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for one in received:
                due = one.get("MessageAttributes", {}).get(_DUE)
                visible_at = datetime.fromisoformat(due["StringValue"]) if due else self.clock()
                ticket = _Ticket(one["MessageId"], one["ReceiptHandle"], one["Body"], visible_at)
                self._tickets[queue][ticket.id] = ticket

    def _delete(self, queue: str, ticket: _Ticket) -> None:
        self._sqs.delete_message(QueueUrl=self._url(queue), ReceiptHandle=ticket.receipt)
        del self._tickets[queue][ticket.id]

    def _keep_delay(self, params: dict[str, Any], **_: object) -> None:
        """Write delays down, in our clock's time, in the place of having SQS wait for them."""
        params["Entries"] = [
            entry
            | {
                "DelaySeconds": 0,
                "MessageAttributes": {
                    _DUE: {
                        "DataType": "String",
                        "StringValue": (self.clock() + timedelta(seconds=entry["DelaySeconds"])).isoformat(),
                    }
                },
            }
            for entry in params["Entries"]
        ]

    def _url(self, queue: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=f"{PREFIX}-{queue}")["QueueUrl"])


def _minute_event() -> dict[str, Any]:
    names = ("version", "account", "region", "detail", "detail-type", "source", "time", "id", "resources")
    return dict.fromkeys(names, "")


@dataclass
class Sandbox:
    """What deployments stand on: an emulator, a provider, a clock, and the wire between them and the code.

    `log` has the lines of the latest deployment.
    """

    wire: Wire
    clock: JumpingClock
    provider: OwnProvider
    client: Callable[[str], Any]
    log: StringIO

    @contextmanager
    def deployment(self) -> Iterator[InProcess]:
        """Hand out a deployment, empty and with cold caches, while the block runs.

        The application stays the same one, since making boto3 clients takes longer than most scenarios; whatever
        remembers something is made anew.
        """
        built = application()
        for part in [name for name, value in vars(Application).items() if isinstance(value, cached_property)]:
            if part not in REMEMBER_NOTHING:
                built.__dict__.pop(part, None)
        built.clock = self.clock
        built.__dict__["secrets"] = Secrets(SecretsProvider(boto3_client=self.client("secretsmanager")))
        self._empty()
        self.provider.forget()
        self.wire.forget()
        self.log.truncate(0)
        self.log.seek(0)
        try:
            yield InProcess(self.wire, self.clock, self.provider, self.client)
        finally:
            built.send_messages.executor.shutdown()

    def _empty(self) -> None:
        dynamodb, sqs, scheduler = (self.client(name) for name in ("dynamodb", "sqs", "scheduler"))
        for model in TABLES:
            table = model.Meta.table_name
            keys = [
                name
                for name, attribute in model.get_attributes().items()
                if attribute.is_hash_key or attribute.is_range_key
            ]
            for item in dynamodb.scan(TableName=table)["Items"]:
                dynamodb.delete_item(TableName=table, Key={key: item[key] for key in keys})
        for url in sqs.list_queues()["QueueUrls"]:
            sqs.purge_queue(QueueUrl=url)
        for schedule in scheduler.list_schedules(GroupName=PREFIX)["Schedules"]:
            scheduler.delete_schedule(GroupName=PREFIX, Name=schedule["Name"])


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Stand while the block runs."""
    clock = JumpingClock()
    with running_emulator() as session, own_provider(clock) as provider, pytest.MonkeyPatch.context() as patch:
        client = cache(session.client)
        for name, value in (_resources(client) | TUNING | {"PROVIDER_URL": provider.url}).items():
            patch.setenv(name, value)
        log = StringIO()
        patch.setattr(observability.logger.logger_handler, "stream", log)
        create_tables(PREFIX)
        application.cache_clear()
        try:
            with wired() as wire:
                yield Sandbox(wire, clock, provider, client, log)
        finally:
            application.cache_clear()
            bind("unbound")


def _resources(client: Callable[[str], Any]) -> dict[str, str]:
    """Make what the template makes beside tables, and name it as the template does."""
    settings = {name.upper(): PREFIX for name, about in Settings.model_fields.items() if about.is_required()}
    sqs = client("sqs")
    for queue in ("plan", "plan-dlq", "send", "send-dlq", "express", "express-dlq"):
        attributes = {} if queue.endswith("dlq") else {"VisibilityTimeout": str(_NEVER_BACK_SECONDS)}
        made = sqs.create_queue(QueueName=f"{PREFIX}-{queue}", Attributes=attributes)
        settings[f"{queue.replace('-', '_').upper()}_QUEUE_URL".replace("DLQ_QUEUE", "DLQ")] = made["QueueUrl"]
    for secret in ("API_TOKEN_SECRET", "PROVIDER_TOKEN_SECRET"):
        settings[secret] = f"{PREFIX}/{secret.lower()}"
        client("secretsmanager").create_secret(Name=settings[secret], SecretString=TOKEN)
    client("scheduler").create_schedule_group(Name=PREFIX)
    return settings
