"""Backup, wipe, restore, by the commands that an operator types; what was sent in between is never sent again."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import backup
import restore
from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    change,
    control,
    counts_until,
    create_mailing,
    drained,
    finished,
    load_clients,
    rows,
    statistics_of,
)
from tests.running_stack import RunningStack

pytestmark = pytest.mark.of_lambda("a restore switches functions off; a host is stopped by hand before it")

TABLES = [
    "audience",
    "audit",
    "clients",
    "control",
    "imports",
    "mailings",
    "messages",
    "segments",
    "stats",
    "suppressions",
]
DEADLINE_SECONDS = 120
OPT_OUTS_LOST = "make restore: the table of suppressions was gone: who opted out since gets messages again\n"


class Operator:
    """Types commands at a shell."""

    def __init__(self, stack: RunningStack, folder: Path) -> None:
        self.stack = stack
        self._folder = folder
        self._file = folder / "stack.json"
        self._file.write_text(json.dumps(asdict(stack.info)))

    def back_up(self, *options: str) -> tuple[str, dict[str, int]]:
        """Back up; returns the name, and how many items of each table."""
        done = self._run(backup.__file__, *options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.split()[-1], items_in(done.stdout)

    def restore(self, *options: str, wrong: str = "") -> str:
        """Restore; returns what was printed, with this on standard error."""
        done = self.run_restore(*options)
        assert (done.returncode, done.stderr) == (1 if wrong else 0, wrong), done
        return done.stdout

    def run_restore(self, *options: str, yes: bool = True) -> subprocess.CompletedProcess[str]:
        return self._run(restore.__file__, *options, *["--yes"] * yes, "--keep", str(self._folder))

    def restore_and_be_killed(self, at: str, *options: str) -> None:
        """Begin to restore, and die at the line that begins so."""
        command = [*self._command(restore.__file__), *options, "--yes", "--keep", str(self._folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert any(line.startswith(at) for line in process.stdout)
            process.send_signal(signal.SIGKILL)

    def _run(self, program: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command(program), *options], capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS
        )

    def _command(self, program: str) -> list[str]:
        return [sys.executable, program, "--stack", str(self._file)]

    def items(self) -> dict[str, int]:
        """Count the items of each table."""
        pages = self.stack.client("dynamodb").get_paginator("scan")
        return {
            name: sum(page["Count"] for page in pages.paginate(TableName=self.stack.table_name(name), Select="COUNT"))
            for name in TABLES
        }

    def wipe(self) -> None:
        """Lose all tables."""
        dynamodb = self.stack.client("dynamodb")
        for name in TABLES:
            dynamodb.update_table(TableName=self.stack.table_name(name), DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=self.stack.table_name(name))


@pytest.fixture(scope="module")
def stack(start_stack: StartStack) -> RunningStack:
    return start_stack(parameters={"DeletionProtection": "true", "WarmWriteUnits": "5000"})


@pytest.fixture
def operator(stack: RunningStack, tmp_path: Path) -> Iterator[Operator]:
    stack.control()
    stack.forget_received()
    yield Operator(stack, tmp_path)
    assert stack.received()["duplicates"] == 0


def test_wiped_tables_come_back_and_the_stack_works_on(stack: RunningStack, operator: Operator) -> None:
    load_clients(stack, 25, "wiped")
    mailing_id = create_mailing(stack, "wiped")
    finished(stack, mailing_id)
    drained(stack)
    statistics, settings = statistics_of(stack, mailing_id), settings_of(stack)
    name, before = operator.back_up()
    operator.wipe()

    said = operator.restore("--backup", name, wrong=OPT_OUTS_LOST)

    assert items_in(said) == before
    assert before["messages"] == 25
    assert "counters recounted: {'right': 1}" in said
    assert settings_of(stack) == settings
    assert all(is_recoverable(stack, name) for name in TABLES)  # which the emulator's CloudFormation reads past
    assert statistics_of(stack, mailing_id) == statistics
    assert_counters_equal_recount(stack, mailing_id)
    assert drift(stack) == 0
    main_job(stack, "after the wipe")


def test_nothing_is_sent_twice_that_was_sent_since_the_backup(stack: RunningStack, operator: Operator) -> None:
    load_clients(stack, 10, "halved", timezone="+05:00")
    load_clients(stack, 10, "halved", timezone="-05:00")
    ids = load_clients(stack, 7, "later", timezone="+05:00")
    closed, opened = window_at("+05:00", hours=3), window_at("+05:00", hours=-1)
    running = create_mailing(stack, "halved", window=closed)
    draft = create_mailing(stack, "later", draft=True)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    scheduled = create_mailing(stack, "later", start_at=tomorrow, end_at=tomorrow + timedelta(hours=1))
    counts_until(stack, running, "deferred", at_least=20)
    drained(stack)
    name, _ = operator.back_up()

    change(stack, running, window=opened)
    control(stack, draft, "start")
    change(stack, scheduled, start_at=datetime.now(UTC).isoformat())
    counts_until(stack, running, "sent", at_least=10)
    finished(stack, draft)
    finished(stack, scheduled)
    gone = create_mailing(stack, "later")
    finished(stack, gone)
    suppressed = stack.request("GET", f"/clients/{ids[0]}").json()["phone"]
    assert stack.request("POST", "/suppressions", {"phone": suppressed}).status_code == 201
    drained(stack)
    assert stack.received()["requests"] == 10 + 3 * 7

    said = operator.restore("--backup", name)

    assert f"mailing {running} is paused" in said
    assert f"mailing {scheduled} is a draft again" in said
    assert " requests in the senders' log, 24 messages follow them" in said
    assert f"mailing {gone} is gone, and 7 of its messages were sent" in said
    assert "phones that opted out since, suppressed again: 1\n" in said
    assert stack.request("GET", f"/suppressions/{suppressed}").status_code == 200
    assert status(stack, running) == "paused"
    assert [row["status"] for row in rows(stack, draft)] == ["sent"] * 7
    assert drift(stack) == 0

    control(stack, running, "resume")
    change(stack, running, window=None)
    control(stack, draft, "start")
    change(stack, scheduled, start_at=datetime.now(UTC).isoformat())
    control(stack, scheduled, "start")
    for mailing_id, sent in ((running, 20), (draft, 7), (scheduled, 7)):
        assert finished(stack, mailing_id)["messages"]["sent"] == sent
        assert_counters_equal_recount(stack, mailing_id)
    drained(stack)
    received = stack.received()
    assert (received["requests"], received["duplicates"]) == (10 + 3 * 7 + 10, 0)


@pytest.mark.parametrize("line", ["the functions are stopped", "restoring", "messages"])
def test_killed_in_it_a_restore_is_run_again(stack: RunningStack, operator: Operator, line: str) -> None:
    load_clients(stack, 5, f"killed {line}")
    mailing_id = create_mailing(stack, f"killed {line}", draft=True)
    drained(stack)
    name, _ = operator.back_up()
    control(stack, mailing_id, "start")
    finished(stack, mailing_id)

    operator.restore_and_be_killed(line, "--backup", name)
    assert stack.request("GET", "/health").status_code == 429
    operator.restore("--backup", name)

    assert status(stack, mailing_id) == "draft"
    control(stack, mailing_id, "start")
    assert finished(stack, mailing_id)["messages"]["sent"] == 5
    main_job(stack, f"after {line}")


def test_tables_are_restored_to_a_second(stack: RunningStack, operator: Operator) -> None:
    load_clients(stack, 5, "second")
    mailing_id = create_mailing(stack, "second")
    finished(stack, mailing_id)
    drained(stack)
    before = operator.items()

    said = operator.restore("--at", datetime.now(UTC).isoformat(timespec="seconds"))

    assert items_in(said)["clients"] == before["clients"]
    assert statistics_of(stack, mailing_id)["messages"]["sent"] == 5
    tables = stack.client("dynamodb").list_tables()["TableNames"]
    assert sorted(tables) == [stack.table_name(name) for name in TABLES]
    main_job(stack, "after the second")


def test_what_the_log_does_not_tell_is_said_and_held(stack: RunningStack, operator: Operator) -> None:
    mailing_id = create_mailing(stack, "nobody", window=window_at("+05:00", hours=3))
    name, _ = operator.back_up()
    group = f"/aws/lambda/{stack.info.stack_name}-sender"
    stack.client("logs").delete_log_group(logGroupName=group)

    done = operator.run_restore("--backup", name)

    assert done.returncode == 1
    assert done.stderr.startswith(f"make restore: what was sent since is not settled: there is no log group {group}")
    assert status(stack, mailing_id) in {"paused", "finished"}
    main_job(stack, "without a log")


@pytest.mark.parametrize("name", ["vestnik-20200101T000000Z", "other-20200101T000000Z", "vestnik"])
def test_a_backup_that_is_not_there_changes_nothing(stack: RunningStack, operator: Operator, name: str) -> None:
    stack.tick("dispatcher")  # its first minute stores an item, and may come at any moment
    before = operator.items()

    done = operator.run_restore("--backup", name)

    assert (done.returncode, done.stdout) == (1, "")
    assert name in done.stderr
    assert operator.items() == before
    assert stack.request("GET", "/health").status_code == 200


def test_nobody_is_asked_where_there_is_no_terminal(operator: Operator) -> None:
    done = operator.run_restore("--backup", "vestnik-20200101T000000Z", yes=False)
    assert (done.returncode, done.stderr) == (1, "make restore: nothing was done; say yes, or YES=1\n")


def items_in(table: str) -> dict[str, int]:
    """Read how many items of each table a program has printed."""
    lines = (line.split() for line in table.splitlines())
    return {line[0]: int(line[1]) for line in lines if line[0] in TABLES}


def window_at(zone: str, *, hours: int) -> dict[str, str]:
    """Make a window of two hours that begins so many hours after the present one of a zone."""
    begins = datetime.now(UTC) + timedelta(hours=int(zone[:3]) + hours)
    return {"from": f"{begins:%H}:00", "to": f"{begins + timedelta(hours=2):%H}:00"}


def status(stack: RunningStack, mailing_id: str) -> str:
    return str(statistics_of(stack, mailing_id)["mailing"]["status"])


def drift(stack: RunningStack) -> int:
    """Have all counters checked as by night; returns how many mailings have drift."""
    return int(json.loads(stack.invoke("drift-check", json.dumps({"source": "aws.events"})))["drift"])


def settings_of(stack: RunningStack) -> dict[str, Any]:
    """Read what a restore loses."""
    dynamodb = stack.client("dynamodb")
    found = {}
    for name in map(stack.table_name, TABLES):
        table = dynamodb.describe_table(TableName=name)["Table"]
        ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        found[name] = {
            "protected": bool(table["DeletionProtectionEnabled"]),
            "ttl": ttl["TimeToLiveStatus"],
            "indexes": sorted(index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])),
        }
    return found


def is_recoverable(stack: RunningStack, table: str) -> bool:
    """Tell whether point-in-time recovery is on."""
    answer = stack.client("dynamodb").describe_continuous_backups(TableName=stack.table_name(table))
    recovery = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return bool(recovery["PointInTimeRecoveryStatus"] == "ENABLED")


def main_job(stack: RunningStack, tag: str) -> None:
    """Load clients, send a mailing, and see that all of it works."""
    load_clients(stack, 3, tag)
    mailing_id = create_mailing(stack, tag)
    assert finished(stack, mailing_id)["messages"]["sent"] == 3
    assert_counters_equal_recount(stack, mailing_id)
