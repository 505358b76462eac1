"""Where what the functions say goes: to stdout, and to CloudWatch's log groups where that is asked for."""

import logging
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from infra.host.context import log_group

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

PAUSE_SECONDS = 1
LAST_SECONDS = 5  # that may pass at the end until all is shipped
MOST_WAITING = 20_000  # lines of a function, some ten megabytes
MOST_AT_ONCE, MOST_BYTES = 10_000, 1_048_576  # lines and bytes of one call, by the quotas of PutLogEvents
LONGEST_LINE = 250_000  # bytes, below what is taken

TakeLine = Callable[[str, bytes], None]
"""Takes a line, with its end, that a function of that name has said."""

logger = logging.getLogger(__name__)

_stdout = threading.Lock()


class Event(TypedDict):
    """A line, and when it was said, in milliseconds."""

    timestamp: int
    message: str


def print_line(_function: str, line: bytes) -> None:
    """Pass a line on to our own stdout, whole."""
    with _stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


class LogShipper:
    """Prints lines, and brings them to the log groups of their functions, once a second; `close` brings the last.

    Lines wait while CloudWatch does not take them; of more than `MOST_WAITING` of a function the oldest are lost, and
    that is said.
    """

    def __init__(self, logs: "CloudWatchLogsClient") -> None:
        self._logs = logs
        self._stream = f"{datetime.now(UTC):%Y/%m/%d}/[host]{uuid4().hex}"
        self._with_stream: set[str] = set()
        self._arrived = deque[tuple[str, Event]]()
        self._waiting = defaultdict[str, list[Event]](list)
        self._failing: set[str] = set()
        self._lost = Counter[str]()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __call__(self, function: str, line: bytes) -> None:
        """Take a line of a function."""
        print_line(function, line)
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\n")
        if text:
            self._arrived.append((function, {"timestamp": int(time.time() * 1000), "message": text}))

    def close(self) -> None:
        """Ship what is left, as far as that works within some seconds."""
        self._closing.set()
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(PAUSE_SECONDS):
            self._ship()
        self._ship()

    def _ship(self) -> None:
        for _ in range(len(self._arrived)):
            function, event = self._arrived.popleft()
            self._waiting[function].append(event)
        for function, events in self._waiting.items():
            too_many = max(0, len(events) - MOST_WAITING)
            self._lost[function] += too_many
            del events[:too_many]
            try:
                while events:
                    part = _part(events)
                    self._put(log_group(function), part)
                    del events[: len(part)]
            except (BotoCoreError, ClientError) as error:
                if function not in self._failing:
                    logger.warning("lines not shipped, they wait", extra={"function": function, "error": str(error)})
                self._failing.add(function)
                continue
            if function in self._failing:
                logger.warning("lines are shipped again", extra={"function": function})
            self._failing.discard(function)
            if lost := self._lost.pop(function, 0):
                logger.error("lines lost", extra={"function": function, "lines": lost})

    def _put(self, group: str, events: Sequence[Event]) -> None:
        if group not in self._with_stream:
            self._logs.create_log_stream(logGroupName=group, logStreamName=self._stream)
            self._with_stream.add(group)
        self._logs.put_log_events(
            logGroupName=group,
            logStreamName=self._stream,
            logEvents=sorted(events, key=lambda event: event["timestamp"]),
        )


def _part(events: Sequence[Event]) -> Sequence[Event]:
    """Take from the front what CloudWatch takes at once: ten thousand lines, a megabyte."""
    size = 0
    for number, event in enumerate(events[:MOST_AT_ONCE]):
        size += len(event["message"].encode()) + 26
        if size > MOST_BYTES:
            return events[:number]
    return events[:MOST_AT_ONCE]
