"""Backups of all tables of a stack under one name, and what becomes of a table that is restored from one."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from local_error import LocalError
from stack_tables import StackTable

MOMENT = "%Y%m%dT%H%M%SZ"
POLL_SECONDS = 0.5
DEADLINE_SECONDS = 24 * 3600  # a restore of terabytes takes hours
_ABSENT = "absent"
Seen = TypeVar("Seen")


def name_of(stack_name: str, moment: datetime) -> str:
    """Name the backups of a stack that show it as it was at a moment."""
    return f"{stack_name}-{moment.astimezone(UTC):{MOMENT}}"


def moment_of(stack_name: str, name: str) -> datetime:
    """Read the moment that backups of this name show.

    Raises:
        LocalError: it is no name of this stack's backups.
    """
    found = re.fullmatch(re.escape(stack_name) + r"-(\d{8}T\d{6}Z)", name)
    if not found:
        raise LocalError(f"{name} is no name of a backup of {stack_name}; one is {stack_name}-20261123T100000Z")
    return datetime.strptime(found[1], MOMENT).replace(tzinfo=UTC)


class TableBackups:
    """Backups and restores of DynamoDB, in the words that the emulator and AWS share. `client` is of boto3."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._dynamodb = client

    def begin(self, table: str, name: str, short: str) -> str:
        """Back a table up under a name; returns the backup's ARN. On AWS it is the table of this second."""
        answer = self._dynamodb.create_backup(TableName=table, BackupName=f"{name}.{short}")
        return str(answer["BackupDetails"]["BackupArn"])

    def wait(self, arn: str) -> Mapping[str, Any]:
        """Wait until a backup can be restored; returns its details."""

        def look() -> Mapping[str, Any]:
            details: Mapping[str, Any] = self._dynamodb.describe_backup(BackupArn=arn)["BackupDescription"][
                "BackupDetails"
            ]
            return details

        return _poll(look, lambda details: bool(details["BackupStatus"] == "AVAILABLE"), f"the backup {arn}")

    def unused_name(self, stack_name: str) -> str:
        """Name backups of this second, or of the next if there are some of that name: by it they are found."""
        return _poll(
            lambda: name_of(stack_name, datetime.now(UTC)), lambda name: not self.find(name), "a name of a backup"
        )

    def find(self, name: str) -> dict[str, str]:
        """Find the ARNs of the backups of a name, by the short name of their tables.

        Raises:
            LocalError: a table has two of them, made in one second by two programs.
        """
        found: dict[str, str] = {}
        for full_name, arn in self._all():
            if full_name.startswith(f"{name}."):
                first = found.setdefault(full_name.removeprefix(f"{name}."), arn)
                if first != arn:
                    raise LocalError(f"two backups are named {full_name}; delete one of {first} and {arn}")
        return found

    def names(self, stack_name: str) -> list[str]:
        """List the names under which there are backups of the stack, oldest first."""
        named = {full_name.rpartition(".")[0] for full_name, _ in self._all()}
        return sorted(name for name in named if re.fullmatch(re.escape(stack_name) + r"-\d{8}T\d{6}Z", name))

    def _all(self) -> Iterator[tuple[str, str]]:
        """Yield name and ARN of each backup that somebody has ordered, of whatever stack."""
        for page in self._dynamodb.get_paginator("list_backups").paginate(BackupType="USER"):
            for backup in page["BackupSummaries"]:
                yield backup["BackupName"], backup["BackupArn"]

    def copy_as_of(self, table: str, moment: datetime, copy: str) -> None:
        """Restore a table as it was at a moment beside itself; a copy that is on its way is left to that."""
        if self.status(copy) == _ABSENT:
            self._dynamodb.restore_table_to_point_in_time(
                SourceTableName=table, TargetTableName=copy, RestoreDateTime=moment
            )

    def restore(self, table: str, arn: str) -> None:
        """Begin to restore a table that is not there under its own name."""
        self._dynamodb.restore_table_from_backup(TargetTableName=table, BackupArn=arn)

    def is_being_restored_from(self, table: str, arn: str) -> bool:
        """Tell whether somebody has begun to restore a table from this backup, and DynamoDB is at it."""
        if self.status(table) != "CREATING":
            return False
        summary = self._dynamodb.describe_table(TableName=table)["Table"].get("RestoreSummary", {})
        return bool(summary.get("SourceBackupArn") == arn)

    def status(self, table: str) -> str:
        """Tell the status of a table; `absent` if there is none."""
        try:
            return str(self._dynamodb.describe_table(TableName=table)["Table"]["TableStatus"])
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return _ABSENT

    def exists(self, table: str) -> bool:
        """Tell whether there is such a table, in whatever status."""
        return self.status(table) != _ABSENT

    def wait_active(self, table: str) -> None:
        """Wait until a table can be used."""
        _poll(lambda: self.status(table), lambda status: status == "ACTIVE", f"the table {table}")

    def wait_settled(self, table: str) -> bool:
        """Wait until a table can be used or is gone; tell which."""
        return (
            _poll(lambda: self.status(table), lambda status: status in {"ACTIVE", _ABSENT}, f"the table {table}")
            == "ACTIVE"
        )

    def delete(self, table: str) -> None:
        """Delete a table, protected or not, and wait until it is gone."""
        if self.wait_settled(table):
            if self._dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
                self._dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
                self.wait_active(table)
            self._dynamodb.delete_table(TableName=table)
        _poll(lambda: self.status(table), lambda status: status == _ABSENT, f"the end of the table {table}")

    def count(self, table: str) -> int:
        """Count the items of a table by reading all of it: what DescribeTable says is up to six hours old."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT", ConsistentRead=True)
        return sum(page["Count"] for page in pages)

    def set_again(self, table: StackTable) -> None:
        """Give a restored table what it lost: warm throughput, TTL, point-in-time recovery, tags, protection."""
        name, wanted = table.name, table.wanted
        for change in _warmth(wanted):
            self._dynamodb.update_table(TableName=name, **change)
            self.wait_active(name)
        if ttl := wanted.get("TimeToLiveSpecification"):
            self._age(name, ttl)
        self._recover(name, wanted["PointInTimeRecoverySpecification"])
        if table.tags:
            arn = self._dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
            self._dynamodb.tag_resource(ResourceArn=arn, Tags=list(table.tags))
        protected = str(wanted["DeletionProtectionEnabled"]).lower() == "true"
        self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=protected)
        self.wait_active(name)

    def _age(self, table: str, wanted: Mapping[str, Any]) -> None:
        state = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if state["TimeToLiveStatus"] not in {"ENABLED", "ENABLING"}:
            self._dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)

    def _recover(self, table: str, wanted: Mapping[str, Any]) -> None:
        """Switch point-in-time recovery on; of a table that was just made AWS refuses it for a while."""
        unavailable = self._dynamodb.exceptions.ContinuousBackupsUnavailableException

        def switched() -> bool:
            try:
                self._dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=wanted)
            except unavailable:
                return False
            return True

        _poll(switched, bool, f"point-in-time recovery of {table}")


def _warmth(wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what UpdateTable has to be told of warm throughput, one call each."""
    if warm := wanted.get("WarmThroughput"):
        yield {"WarmThroughput": _numbers(warm)}
    for index in wanted.get("GlobalSecondaryIndexes", []):
        if warm := index.get("WarmThroughput"):
            update = {"IndexName": index["IndexName"], "WarmThroughput": _numbers(warm)}
            yield {"GlobalSecondaryIndexUpdates": [{"Update": update}]}


def _numbers(warm: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(units) for name, units in warm.items()}


def _poll(look: Callable[[], Seen], done: Callable[[Seen], bool], what: str) -> Seen:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done(seen := look()):
        if time.monotonic() > deadline:
            raise LocalError(f"{what}: not there after {DEADLINE_SECONDS // 3600} hours; at last {seen}")
        time.sleep(POLL_SECONDS)
    return seen
