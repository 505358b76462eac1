"""The ground on which scenarios play: a packaged stack whose healing takes seconds, and the ways to wound it."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from processes import ProcessRecord
from programs import EMULATOR, start_emulator
from tests.e2e.steps import load_clients
from tests.running_stack import SCHEDULE_EVENT, RunningStack

# The same ways as with the defaults, only sooner: each of these is a pause, and no rule asks how long a pause is.
# Ten seconds of a silent provider become three, quarters of an hour of backoff four seconds.
SETTINGS = {
    "PROVIDER_CONNECT_TIMEOUT_SECONDS": "2",
    "PROVIDER_TIMEOUT_SECONDS": "3",
    "BACKOFF_CAP_SECONDS": "4",
    "QUEUED_GRACE_SECONDS": "60",
    "MAX_ATTEMPTS": "1000",
    "SENDER_THREADS": "8",
    "BREAKER_FAILURES": "30",  # later rather than sooner: what comes through is what is to be survived
    "BREAKER_PROBE_SECONDS": "0.2",
    "BREAKER_PROBE_CAP_SECONDS": "2",
    "EXPRESS_MAX_CLIENTS": "100",  # the crowd goes the way of large mailings: segments, plan queue, send queue
}
# Tickets of the dead come back after these instead of 180 s and 360 s. The first is above the lease of 30 s, as the
# default is; the second below the planner's timeout, so that tickets are also worked on twice at once.
VISIBILITY_SECONDS = {"send": 40, "express": 40, "plan": 20}
EMULATOR_SETTINGS = {"PERSIST_STATE": "1", "S3_PERSIST": "1"}  # it saves on SIGTERM, and begins with what it saved
DISPATCH_EVERY_SECONDS = 3.0  # its schedule calls the same function each minute
CROWD = "crowd"

# One zone's window is shut when a mailing starts, and opens with one of the next minutes.
LATE_ZONE = "-00:30"
ZONES = (
    "Pacific/Auckland",
    "Asia/Tokyo",
    "+05:30",
    "Asia/Yekaterinburg",
    "Europe/London",
    "America/New_York",
    "-11:00",
    LATE_ZONE,
)
SHUT_FOR = timedelta(hours=2)  # no other zone's offset lies as little behind that of the late zone

Seen = TypeVar("Seen")


class MissingError(Exception):
    """What a scenario waited for did not come."""


@dataclass
class Ground:
    """A stack, its crowd, and what was done to them: `clients` by id their zones, `kills` the moments of kills."""

    stack: RunningStack
    folder: Path
    port: int
    clients: dict[str, str] = field(default_factory=dict)
    kills: list[datetime] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)

    @cached_property
    def dynamodb(self) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        return self.stack.client("dynamodb")

    # Wounds.

    def workers(self, functions: Sequence[str]) -> list[int]:
        """Find processes that run these functions, among the descendants of this stack's emulator only."""
        names = {f"AWS_LAMBDA_FUNCTION_NAME={self.stack.info.stack_name}-{one}".encode() for one in functions}
        return [pid for pid in _descendants(self._emulator_pid()) if names & _environ(pid)]

    def kill_one(self, functions: Sequence[str]) -> bool:
        """SIGKILL one process of these functions, if there is one."""
        found = self.workers(functions)
        if not found:
            return False
        self.kills.append(datetime.now(UTC))
        try:
            os.kill(self.chance.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            self.kills.pop()
            return False
        return True

    def restart_emulator(self) -> None:
        """End the emulator with all functions that run in it, as a power cut with notice would, and start it again."""
        record = ProcessRecord(self.folder / "processes.json")
        emulator = record.living(EMULATOR)
        if emulator is None:
            raise MissingError("the emulator does not run")
        self.kills.append(datetime.now(UTC))
        record.stop(emulator, grace_seconds=60)
        start_emulator(record, self.folder, self.port, EMULATOR_SETTINGS)
        self.wait_for("the API after the restart", self._health, lambda status: status == 200)

    def purge(self, queue: str) -> None:
        """Lose all tickets of a queue."""
        self.stack.client("sqs").purge_queue(QueueUrl=self.stack.queue_url(queue))

    @contextmanager
    def stopped(self, function: str) -> Iterator[None]:
        """Let no queue reach a function while the block runs."""
        awslambda = self.stack.client("lambda")
        name = f"{self.stack.info.stack_name}-{function}"
        sources = [
            one["UUID"] for one in awslambda.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        ]
        for source in sources:
            awslambda.update_event_source_mapping(UUID=source, Enabled=False)
        try:
            yield
        finally:
            for source in sources:
                awslambda.update_event_source_mapping(UUID=source, Enabled=True)

    def let_time_pass(self, mailing_id: str) -> None:
        """Make everything open of a mailing due: what the dispatcher would find some minutes later, it finds next."""
        now = {"N": str(time.time_ns() // 1_000_000)}
        for table, key in (("messages", ("id",)), ("segments", ("mailing_id", "segment"))):
            pages = self.dynamodb.get_paginator("scan").paginate(
                TableName=self.stack.table_name(table),
                FilterExpression="mailing_id = :mailing AND due_at > :now",
                ExpressionAttributeValues={":mailing": {"S": mailing_id}, ":now": now},
            )
            for item in (item for page in pages for item in page["Items"]):
                try:
                    self.dynamodb.update_item(
                        TableName=self.stack.table_name(table),
                        Key={name: item[name] for name in key},
                        UpdateExpression="SET due_at = :now",
                        ConditionExpression="attribute_exists(due_at)",
                        ExpressionAttributeValues={":now": now},
                    )
                except self.dynamodb.exceptions.ConditionalCheckFailedException:
                    continue  # it ended meanwhile

    # Sights.

    def wait_for(
        self, what: str, look: Callable[[], Seen], until: Callable[[Seen], bool], *, deadline_seconds: float = 120
    ) -> Seen:
        """Look until the sight is as wanted.

        Raises:
            MissingError: it was not in time; says what is missing, and the last sight.
        """
        deadline = time.monotonic() + deadline_seconds
        while not until(seen := look()):
            if time.monotonic() > deadline:
                raise MissingError(f"{what}: not within {deadline_seconds:g} s; at last {seen}")
            time.sleep(0.2)
        return seen

    def _health(self) -> int:
        return self.stack.request("GET", "/health").status_code

    def _emulator_pid(self) -> int:
        emulator = ProcessRecord(self.folder / "processes.json").living(EMULATOR)
        return emulator.pid if emulator else 0


def last(seconds: float) -> None:
    """Let a fault last: nothing is waited for."""
    time.sleep(seconds)


@contextmanager
def prepared_ground(
    folder: Path, *, crowd: int, say: Callable[[str], None], seed: int | None = None
) -> Iterator[Ground]:
    """Bring a stack up for the time of the block, with a crowd of clients spread over the zones.

    Args:
        folder: the stack's own.
        crowd: how many clients, at least.
        say: takes lines of progress.
        seed: makes the choices of what is killed and when repeatable, as far as processes are.
    """
    port = free_port()
    embedded = EmbeddedStack(
        StackOptions(folder=folder, port=port, settings=SETTINGS, emulator=EMULATOR_SETTINGS), say=say
    )
    stack = RunningStack(embedded, embedded.up())
    try:
        ground = Ground(stack, folder, port, chance=random.Random(seed))  # noqa: S311 - chaos is no secret
        for queue, seconds in VISIBILITY_SECONDS.items():
            stack.client("sqs").set_queue_attributes(
                QueueUrl=stack.queue_url(queue), Attributes={"VisibilityTimeout": str(seconds)}
            )
        for zone in ZONES:
            ids = load_clients(stack, -(-crowd // len(ZONES)), CROWD, timezone=zone)
            ground.clients |= dict.fromkeys(ids, zone)
        with _minute_hand(stack):
            yield ground
    finally:
        stack.close()


@contextmanager
def _minute_hand(stack: RunningStack) -> Iterator[None]:
    """Call the dispatcher every few seconds, as its schedule does every minute, whatever becomes of each call."""
    stop = threading.Event()
    awslambda = stack.client("lambda")
    event = json.dumps(SCHEDULE_EVENT)

    def beat() -> None:
        while not stop.wait(DISPATCH_EVERY_SECONDS):
            try:
                awslambda.invoke(FunctionName=f"{stack.info.stack_name}-dispatcher", Payload=event)
            except (BotoCoreError, ClientError):
                continue  # killed, or the emulator is down: the next call finds what this one left

    thread = threading.Thread(target=beat, name="minute hand")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _descendants(ancestor: int) -> Sequence[int]:
    parents: Mapping[int, int] = dict(_parents())

    def descends(pid: int) -> bool:
        while (pid := parents.get(pid, 0)) > 1:
            if pid == ancestor:
                return True
        return False

    return [pid for pid in parents if descends(pid)]


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(") ")[2].split()  # state, parent, …: `man 5 proc`
        except OSError:
            continue  # it ended while we looked
        yield int(entry.parent.name), int(fields[1])


def _environ(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()  # it ended while we looked
