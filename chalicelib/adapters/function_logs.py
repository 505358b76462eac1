"""What the functions of a stack have logged, out of CloudWatch Logs (port: `FunctionLogs`)."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.adapters.vendor_errors import translated
from chalicelib.domain.journal import Line
from chalicelib.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


class CloudWatchFunctionLogs:
    """The log groups of one stack's functions."""

    def __init__(self, client: "CloudWatchLogsClient", stack_name: str) -> None:
        self._client = client
        self._stack_name = stack_name

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:
        """Yield the JSON lines of a function that contain all terms as substrings, one answer of the service at a time.

        When there are no more pages, it looks again from the last event on, until there is nothing that it has not
        seen: the emulator answers with 10,000 events at most, and has no second page. Nor has it an `eventId` for what
        functions print; a line that a stream has twice in one millisecond is told once.
        """
        pattern = " ".join(f'"{term}"' for term in terms)
        start, seen = max(int(since.timestamp() * 1000), 0), set[tuple[str, int, str]]()
        while True:
            before = len(seen)
            for events in self._events(function, pattern, start):
                fresh = {(event["logStreamName"], event["timestamp"], event["message"]): event for event in events}
                start = max([start, *(event["timestamp"] for event in events)])
                lines = [_read(function, event) for what, event in fresh.items() if what not in seen]
                seen |= fresh.keys()
                yield [line for line in lines if line]
            if len(seen) == before:
                return

    def _events(self, function: str, pattern: str, start: int) -> Iterator[Sequence[Any]]:
        group = f"/aws/lambda/{self._stack_name}-{function}"
        query: dict[str, Any] = {"logGroupName": group, "filterPattern": pattern, "startTime": start}
        while True:
            with translated():
                try:
                    answer = self._client.filter_log_events(**query)
                except self._client.exceptions.ResourceNotFoundException as error:
                    raise NotFoundError(f"there is no log group {group}") from error
            yield answer["events"]
            if "nextToken" not in answer:
                return
            query["nextToken"] = answer["nextToken"]


def _read(function: str, event: Any) -> Line | None:  # noqa: ANN401 - an event of boto3
    """Read a line; None if it is no JSON object, as what Lambda itself says of an invocation."""
    raw, received_at = event["message"], datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return Line(_moment(fields.get("timestamp")) or received_at, received_at, function, raw.rstrip(), fields)


def _moment(said: object) -> datetime | None:
    """Read when the line was logged; it may have arrived as late as its invocation's end."""
    try:
        moment = datetime.fromisoformat(str(said))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
