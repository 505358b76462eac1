"""What happens to a stack, event by event, until it has ended."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from local_error import LocalError

DEADLINE_SECONDS = 3600
Event = Mapping[str, Any]
"""As describe_stack_events has it: Timestamp, ResourceStatus, ResourceType, LogicalResourceId, …"""

_ENDS = ("_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""Of a stack's status; what fails otherwise is rolled back."""


class StackEvents:
    """The events of a stack from now on. `stack`: its name, or its id if it is to go."""

    def __init__(self, cloudformation: Any, stack: str, *, poll_seconds: float) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._cloudformation = cloudformation
        self._stack = stack
        self._poll_seconds = poll_seconds
        self._seen = {event["EventId"] for event in islice(self._events(), 1)}  # the latest

    def follow(self, tell: Callable[[Event], None]) -> None:
        """Hear the events until the stack's own last one.

        Raises:
            LocalError: that one tells of a failure; the message holds the events that say why, and the way out.
        """
        seen = self._seen
        deadline = time.monotonic() + DEADLINE_SECONDS
        failed: list[str] = []
        while time.monotonic() < deadline:
            fresh = []
            for event in self._events():
                if event["EventId"] in seen:
                    break
                fresh.append(event)
            for event in reversed(fresh):
                seen.add(event["EventId"])
                tell(event)
                status = event["ResourceStatus"]
                if status.endswith("_FAILED"):
                    failed.append(_failure(event))
                if event["PhysicalResourceId"] == event["StackId"] and status.endswith(_ENDS):
                    return self._end(status, failed)
            time.sleep(self._poll_seconds)
        raise LocalError(f"the stack is not ready after {DEADLINE_SECONDS} s")

    def _end(self, status: str, failed: Sequence[str]) -> None:
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}:
            return
        way_out = {
            "UPDATE_ROLLBACK_COMPLETE": "Nothing is changed: it is rolled back. Mend what is named, and deploy again.",
            "ROLLBACK_COMPLETE": "Delete what is left of it (make destroy), and deploy again.",
        }.get(status, "")
        if any("DescribeEvents" in failure for failure in failed):
            failed = [*failed, *self._found_beforehand()]
        said = "\n".join(dict.fromkeys(failed))
        raise LocalError(f"the stack ended in {status}:\n{said}" + (f"\n{way_out}" if way_out else ""))

    def _found_beforehand(self) -> Iterator[str]:
        """Yield what CloudFormation found wrong before it began; its events only hint at that."""
        pages = self._cloudformation.get_paginator("describe_events").paginate(StackName=self._stack)
        for event in (event for page in pages for event in page["OperationEvents"]):
            if event["EventType"] == "VALIDATION_ERROR":
                yield f"  {event['LogicalResourceId']}: {event['ValidationStatusReason']}"

    def _events(self) -> Iterator[Event]:
        """Yield events, the latest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=self._stack):
            yield from page["StackEvents"]


def print_event(event: Event) -> None:
    """Print a line of what has come to an end, and of what the whole stack begins."""
    if not event["ResourceStatus"].endswith("_IN_PROGRESS") or event["PhysicalResourceId"] == event["StackId"]:
        moment, status = f"{event['Timestamp']:%H:%M:%S}", event["ResourceStatus"]
        print(f"{moment}  {status:<36}  {event['LogicalResourceId']}", flush=True)


def _failure(event: Event) -> str:
    return f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '?')}"
