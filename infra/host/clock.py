"""What EventBridge does on AWS: calls functions by their schedules, and the planner for each mailing that is due."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from chalicelib.domain.mailing import Mailing
from chalicelib.errors import TransientError
from chalicelib.ports import MailingRepository
from chalicelib.services.start_due import MAX_STARTS
from infra.host.calls import Call, Calls
from infra.host.functions import Function
from infra.host.log_shipping import TakeLine
from infra.host.schedule import Schedule
from infra.host.supervisor import Loop

PLANNER = "planner"
PLANNERS = 4  # that start mailings at once; as many processes there are only where so many mailings are due
LOOK_SECONDS = 1
LONGEST_PAUSE_SECONDS = 20
# So long a mailing is left alone once the planner was called for it: what is read of rows may be behind by some
# seconds, and one that fails each time should not fail each second.
AGAIN_AFTER = timedelta(seconds=10)

logger = logging.getLogger(__name__)

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass
class Ticking:
    """Calls a function at each time of a schedule.

    Times that pass while it is called, or while this process is held up, are made up for by one call. Those that
    pass while no clock runs are not: each minute and each quarter of an hour looks at all that is due, and a night
    looks at what changed within 25 hours; a missed one raises the alarm on the age of the last check.
    """

    schedule: Schedule
    calls: Calls
    now: Now = utc_now

    def __call__(self, stopping: threading.Event) -> None:
        """Do so until told to stop; a call in hand then is finished."""
        # A period begins with a call: whatever stopped the last clock, what it left is looked at now.
        due = self.now() if self.schedule.period else self.schedule.next_after(self.now())
        try:
            while not stopping.wait(max(0.0, min(LOOK_SECONDS, (due - self.now()).total_seconds()))):
                if self.now() >= due and self.calls.wait_for_room(LOOK_SECONDS):
                    self.calls.begin(partial(_call_with, scheduled_event(due)))
                    due = max(self.schedule.next_after(due), self.now())
        finally:
            self.calls.end()


@dataclass
class StartingMailings:
    """Calls the planner for each scheduled mailing whose time has come, found by its row; some at once.

    A mailing is in one call at a time. After it has ended, its row says whether it has to be called again.
    """

    due: Callable[[], Sequence[Mailing]]
    calls: Calls
    now: Now = utc_now
    _in_hand: set[str] = field(default_factory=set)
    _left_alone: dict[str, datetime] = field(default_factory=dict)

    def __call__(self, stopping: threading.Event) -> None:
        """Do so until told to stop; calls in hand then are finished."""
        failures = 0
        try:
            while not stopping.wait(_pause(failures)):
                try:
                    found = self.due()
                except TransientError as error:
                    if failures == 0:
                        logger.warning("mailings not looked for, again soon", extra={"error": str(error)})
                    failures += 1
                else:
                    failures = 0
                    self._begin([mailing.id for mailing in found], stopping)
        finally:
            self.calls.end()

    def _begin(self, ids: Sequence[str], stopping: threading.Event) -> None:
        now = self.now()
        for id_, until in list(self._left_alone.items()):  # a copy: calls that end write into it
            if until <= now:
                del self._left_alone[id_]
        for id_ in ids:
            if id_ not in self._in_hand and id_ not in self._left_alone:
                self._in_hand.add(id_)
                self.calls.begin(partial(self._start, id_, stopping))

    def _start(self, mailing_id: str, stopping: threading.Event, call: Call) -> None:
        try:
            if not stopping.is_set():
                call({"mailing_id": mailing_id})
        finally:
            self._left_alone[mailing_id] = self.now() + AGAIN_AFTER
            self._in_hand.discard(mailing_id)


def _call_with(event: object, call: Call) -> None:
    call(event)


def scheduled_event(moment: datetime) -> dict[str, object]:
    """Make what EventBridge sends at a time of a schedule."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "",
        "time": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "region": "",
        "resources": [],
        "detail": {},
    }


def _pause(failures: int) -> float:
    if failures == 0:
        return LOOK_SECONDS
    return random.uniform(LOOK_SECONDS, min(LONGEST_PAUSE_SECONDS, LOOK_SECONDS * 2 ** min(failures, 10)))  # noqa: S311


def loops_of_clock(functions: Sequence[Function], mailings: MailingRepository, take_line: TakeLine) -> list[Loop]:
    """Make what calls these functions."""
    loops: list[Loop] = [
        Ticking(Schedule.of(expression), Calls(function, 1, take_line))
        for function in functions
        for expression in function.schedules
    ]
    for planner in (function for function in functions if function.name == PLANNER):
        calls = Calls(planner, PLANNERS, take_line)
        loops.append(StartingMailings(lambda: mailings.starting_until(utc_now(), MAX_STARTS), calls))
    return loops
