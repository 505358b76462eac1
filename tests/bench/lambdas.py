"""What the functions of a stack have run and logged, out of CloudWatch Logs."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.domain.journal import FUNCTIONS

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# What CloudWatch Logs counts of an event beside its text:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
EVENT_OVERHEAD_BYTES = 26
_REPORT = re.compile(r"^REPORT RequestId: .*\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB")


@dataclass(frozen=True, slots=True)
class LambdaLog:
    """What the log of one function tells: milliseconds and configured memory as billed, bytes as ingested.

    The emulator measures durations (by its own clock, cold starts and its waiting for log lines included), but not
    memory: its `Max Memory Used` is that of whichever child of its own was largest, so nobody reads that here.
    """

    invocations: int = 0
    billed_ms: int = 0
    memory_mb: int = 0
    logged_bytes: int = 0


def lambda_logs(logs: "CloudWatchLogsClient", stack_name: str, since: datetime) -> dict[str, LambdaLog]:
    """Read what each function has run and logged since a moment; those that did not run are left out.

    Lines of Lambda itself (START, END, REPORT) are counted: they are ingested and paid for as any other.
    """
    start = int(since.timestamp() * 1000)
    read = {function: _read(_lines(logs, f"/aws/lambda/{stack_name}-{function}", start)) for function in FUNCTIONS}
    return {function: log for function, log in read.items() if log.invocations}


def _read(lines: Iterator[str]) -> LambdaLog:
    sums: Counter[str] = Counter()
    memory_mb = 0
    for line in lines:
        sums["logged_bytes"] += len(line.encode()) + EVENT_OVERHEAD_BYTES
        if report := _REPORT.match(line):
            sums["invocations"] += 1
            sums["billed_ms"] += int(report[1])
            memory_mb = int(report[2])
    return LambdaLog(memory_mb=memory_mb, **sums)


def _lines(logs: "CloudWatchLogsClient", group: str, start: int) -> Iterator[str]:
    """Yield all lines since `start`, stream by stream: a search over the group ends at 10,000 events there."""
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, orderBy="LastEventTime", descending=True
    )
    for stream in (stream for page in pages for stream in page["logStreams"]):
        if stream.get("lastEventTimestamp", start) < start:
            return  # all others end earlier
        yield from _lines_of_stream(logs, group, stream["logStreamName"], start)


def _lines_of_stream(logs: "CloudWatchLogsClient", group: str, stream: str, start: int) -> Iterator[str]:
    token = ""
    while True:
        page = logs.get_log_events(
            logGroupName=group,
            logStreamName=stream,
            startTime=start,
            startFromHead=True,
            **{"nextToken": token} if token else {},  # type: ignore[arg-type]
        )
        yield from (event["message"] for event in page["events"])
        if page["nextForwardToken"] == token or not page["events"]:
            return
        token = page["nextForwardToken"]
