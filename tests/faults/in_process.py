"""Vestnik whole in this process: its functions and adapters on an emulator, under a clock that jumps.

Storage and queues are the emulator's. What happens at its time is played here, in the jumping clock's time: Lambda's
event sources with their visibility timeouts, delays of tickets, schedules, the dispatcher's minute, and the
asynchronous call of the planner.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import requests
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

import app
from chalicelib.admin.pages import SESSIONS
from chalicelib.bootstrap import application, derived
from chalicelib.errors import RefusedMailError, TransientError
from tests.aws_errors import as_response
from tests.faults.injected_faults import Wire
from tests.faults.jumping_clock import JumpingClock, JumpingQueue
from tests.faults.own_provider import OwnProvider
from tests.gateway import Answer, Gateway
from tests.tokens import TOKEN
from tests.visitor import visiting

PREFIX = "sites"
SECRET = "a-token-of-tests"  # each of them
SENDER = "reports@vestnik.example"
FUNCTION_SECONDS = 30  # the shortest of the functions' timeouts
IDEMPOTENCY_MILLISECONDS = 400  # by the clock on the wall, which no test can move: Powertools reads it
# Someone must look within these minutes after whatever failed: the longest is a queued row, after 15.
HEALING_MINUTES = (1, 1, 2, 4, 8, 16, 16)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """An event source as infra/template.yaml has it: the function, so many tickets a call, the visibility timeout."""

    handler: Callable[..., Any]
    batch: int
    timeout: timedelta


SOURCES = {
    "plan": Source(app.plan_segment, 1, timedelta(minutes=6)),
    "send": Source(app.sender, 10, timedelta(minutes=3)),
    "express": Source(app.sender, 10, timedelta(minutes=3)),
    "import": Source(app.importer, 1, timedelta(minutes=6)),
}


@dataclass
class InProcess:
    """A deployment and its users.

    Attributes:
        client: makes boto3 clients that no fault concerns.
        errors: what left a function and was no `TransientError`.
        loses_starts: whether calls of the planner are lost.
        queues: by the names of their sources.
    """

    wire: Wire
    clock: JumpingClock
    provider: OwnProvider
    client: Callable[[str], Any]
    errors: list[Exception] = field(default_factory=list)
    loses_starts: bool = False
    _starts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire.played["Invoke"] = self._invoked
        sqs = self.client("sqs")
        self.queues = {
            name: JumpingQueue(sqs, f"{PREFIX}-{name}", self.clock, source.timeout) for name, source in SOURCES.items()
        }

    def request(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """Call the API; its function has so little time left that idempotency keys are soon free again."""
        return Gateway(TOKEN, milliseconds=IDEMPOTENCY_MILLISECONDS)(method, path, body, headers=headers)

    def look(self, page: str) -> Answer:
        """Ask for one of the administrator's pages, as an admin who has logged in before."""
        return visiting(Gateway(TOKEN), application(), key=derived(SECRET, SESSIONS)).look(page)

    def heal(self, *, until: Callable[[], bool]) -> bool:
        """Work and jump until it is so; False if it is not although everybody had their turn."""
        self.work()
        for minutes in HEALING_MINUTES:
            if until():
                return True
            self.minute(minutes)
        return until()

    def minute(self, minutes: int = 1) -> None:
        """Jump, then do what is due by then."""
        self.clock.jump(timedelta(minutes=minutes))
        self._fire_schedules()
        self.dispatch()
        self.work()

    def work(self) -> None:
        """Call functions until nothing waits at this moment."""
        while self.start() or any(self.work_once(name) for name in SOURCES):
            pass

    def work_once(self, source: str, seconds: float = FUNCTION_SECONDS) -> bool:
        """Call the function of a queue, which has so many seconds left, with visible tickets; False if none are."""
        queue, batch = self.queues[source], self.queues[source].take(SOURCES[source].batch)
        if not batch:
            return False
        event = {"Records": [{"messageId": ticket.id, "body": ticket.body} for ticket in batch]}
        report = self._call(SOURCES[source].handler, event, seconds)
        failed = {failure["itemIdentifier"] for failure in report["batchItemFailures"]} if report else None
        for ticket in batch:
            queue.settle(ticket, done=failed is not None and ticket.id not in failed)
        return True

    def start(self) -> bool:
        """Call the planner with what it was invoked with; False if it was not."""
        starts, self._starts = self._starts, []
        for event in starts:
            self.call_planner(event)
        return bool(starts)

    def call_planner(self, event: dict[str, Any]) -> None:
        """Call the planner."""
        self._call(app.planner, event)

    def dispatch(self) -> None:
        """Call the dispatcher."""
        names = ("version", "account", "region", "detail", "detail-type", "source", "time", "id", "resources")
        self._call(app.dispatcher, dict.fromkeys(names, ""))

    def repair(self, mailing_id: str) -> dict[str, Any] | None:
        """Have the counters of a mailing set right; None if the function failed."""
        answer: dict[str, Any] | None = self._call(app.drift_check, {"mailing_id": mailing_id, "repair": True})
        return answer

    def report(self) -> str | None:
        """Have the schedule of the daily report come; says what came of it, None if the function failed."""
        answer: dict[str, str] | None = self._call(app.daily_report, {"source": "aws.events"})
        return answer["outcome"] if answer else None

    def mails(self) -> list[dict[str, Any]]:
        """List the mails that were sent, by this deployment and those before."""
        address = f"{self.client('ses').meta.endpoint_url}/_ministack/ses/messages"
        by_account: dict[str, list[dict[str, Any]]] = requests.get(address, timeout=30).json()["messages"]
        return [mail for mails in by_account.values() for mail in mails]

    def night(self) -> dict[str, Any] | None:
        """Call the nightly check; None if it failed."""
        answer: dict[str, Any] | None = self._call(app.drift_check, {"source": "aws.events"})
        return answer

    def _invoked(self, request: AWSPreparedRequest) -> AWSResponse:
        assert isinstance(request.body, (bytes, str))
        if not self.loses_starts:
            self._starts.append(json.loads(request.body))
        return as_response(request.url, (202, {}))

    def _fire_schedules(self) -> None:
        scheduler = self.client("scheduler")
        for listed in scheduler.list_schedules(GroupName=PREFIX)["Schedules"]:
            named = {"GroupName": PREFIX, "Name": listed["Name"]}
            schedule = scheduler.get_schedule(**named)
            at = datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
            if at <= self.clock():
                scheduler.delete_schedule(**named)
                self.call_planner(json.loads(schedule["Target"]["Input"]))

    def _call(self, handler: Callable[..., Any], event: dict[str, Any], seconds: float = FUNCTION_SECONDS) -> Any:  # noqa: ANN401
        """Call a function as Lambda does; None if it failed: a ticket comes again, anything else is lost."""
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000)
        try:
            return handler(event, context)
        except (TransientError, RefusedMailError) as error:
            logger.info("function failed", exc_info=error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the scenario goes on, and then tells of it
            self.errors.append(error)
        return None
