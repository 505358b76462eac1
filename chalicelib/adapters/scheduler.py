"""Starting mailings at their time with EventBridge Scheduler, or at once (port: `Scheduler`)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.adapters.vendor_errors import translated
from chalicelib.domain.mailing import Mailing

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient


@dataclass(frozen=True, slots=True)
class ScheduleTarget:
    """Whom schedules call, and as whom."""

    group: str
    planner_arn: str
    role_arn: str
    dead_letter_arn: str


class EventBridgeScheduler:
    """One schedule a mailing, named by its id, which deletes itself after it fired.

    All methods raise `TransientError` when AWS does not take it; the dispatcher then finds the mailing by its row.
    """

    def __init__(
        self, scheduler: "EventBridgeSchedulerClient", functions: "LambdaClient", target: ScheduleTarget
    ) -> None:
        self._scheduler = scheduler
        self._functions = functions
        self._target = target

    def put(self, mailing: Mailing) -> None:
        """Have the planner called at `start_at`, rounded up to the second: never early."""
        schedule: Any = {
            "GroupName": self._target.group,
            "Name": mailing.id,
            "ScheduleExpression": f"at({_round_up(mailing.start_at):%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._target.planner_arn,
                "RoleArn": self._target.role_arn,
                "Input": _event(mailing.id),
                "DeadLetterConfig": {"Arn": self._target.dead_letter_arn},
            },
        }
        with translated():
            try:
                self._scheduler.create_schedule(**schedule)
            except self._scheduler.exceptions.ConflictException:
                self._scheduler.update_schedule(**schedule)

    def remove(self, mailing_id: str) -> None:
        """Take the schedule away, if there is one."""
        with translated():
            try:
                self._scheduler.delete_schedule(GroupName=self._target.group, Name=mailing_id)
            except self._scheduler.exceptions.ResourceNotFoundException:
                return

    def start_now(self, mailing_id: str) -> None:
        """Call the planner at once, without waiting for it."""
        with translated():
            self._functions.invoke(
                FunctionName=self._target.planner_arn, InvocationType="Event", Payload=_event(mailing_id).encode()
            )


def _event(mailing_id: str) -> str:
    return json.dumps({"mailing_id": mailing_id})


def _round_up(moment: datetime) -> datetime:
    return (moment + timedelta(seconds=1, microseconds=-1)).astimezone(UTC).replace(microsecond=0)
