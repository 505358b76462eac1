"""What the functions of a stack have logged, out of CloudWatch Logs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_error import LocalError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

FUNCTIONS = ("api", "planner", "plan-segment", "sender", "importer", "dispatcher", "drift-check")


@dataclass(frozen=True)
class Line:
    """A line that is a JSON object: `raw` as it was logged, `fields` as it reads."""

    at: datetime
    function: str
    raw: str
    fields: Mapping[str, Any]

    @property
    def message(self) -> str:
        """The constant text that says what happened."""
        return str(self.fields.get("message", ""))


@dataclass(frozen=True)
class StackLogs:
    """The log groups of one stack's functions."""

    logs: "CloudWatchLogsClient"
    stack_name: str

    def lines(self, *terms: str, since: datetime) -> Iterator[Line]:
        """Yield the JSON lines that contain all terms as substrings, each function's in the order of its log.

        Raises:
            LocalError: none of the functions has a log group.
        """
        pattern = " ".join(f'"{term}"' for term in terms)
        missing = 0
        for function in FUNCTIONS:
            try:
                for raw, received_at in self._events(function, pattern, since):
                    if line := _read(function, raw, received_at):
                        yield line
            except self.logs.exceptions.ResourceNotFoundException:
                missing += 1
        if missing == len(FUNCTIONS):
            raise LocalError(
                f"no function of a stack {self.stack_name!r} has a log group ({self._group('*')}) "
                f"in {self.logs.meta.region_name} at {self.logs.meta.endpoint_url}"
            )

    def _events(self, function: str, pattern: str, since: datetime) -> Iterator[tuple[str, datetime]]:
        """Yield text and time of arrival of each matching event.

        When there are no more pages, it looks again from the last event on, until there is nothing that it has not
        seen: the emulator answers with 10,000 events at most, and has no second page. Nor has it an `eventId` for what
        functions print; a line that a stream has twice in one millisecond is told once.
        """
        paginator = self.logs.get_paginator("filter_log_events")
        start, seen = max(int(since.timestamp() * 1000), 0), set[tuple[str, int, str]]()
        while True:
            before = len(seen)
            pages = paginator.paginate(logGroupName=self._group(function), filterPattern=pattern, startTime=start)
            for event in (event for page in pages for event in page["events"]):
                what = (event["logStreamName"], event["timestamp"], event["message"])
                if what not in seen:
                    seen.add(what)
                    start = max(start, event["timestamp"])
                    yield event["message"], datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            if len(seen) == before:
                return

    def _group(self, function: str) -> str:
        return f"/aws/lambda/{self.stack_name}-{function}"


def _read(function: str, raw: str, received_at: datetime) -> Line | None:
    """Read a line; None if it is no JSON object, as what Lambda itself says of an invocation."""
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return Line(_moment(fields.get("timestamp")) or received_at, function, raw.rstrip(), fields)


def _moment(said: object) -> datetime | None:
    """Read when the line was logged; it may have arrived as late as its invocation's end."""
    try:
        moment = datetime.fromisoformat(str(said))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
