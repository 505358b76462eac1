"""Back up every table of a stack under one name.

DynamoDB takes each table at its own second. With AT they are all taken as they were at one second of the last 35
days: restored beside the stack, backed up, and dropped; the stack runs on. Killed, it is run again.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from local_error import LocalError
from stack_tables import StackTable, deployed_stack
from table_backups import TableBackups, moment_of, name_of
from targets import add_target, target_of

USAGE = """make backup [AT=2026-11-23T10:00:00Z] [STAGE=dev]
       backup.py [--at MOMENT | --list] [--stack-name NAME]"""
INTERRUPTED = 130
COLUMNS = ("table", "items", "bytes", "backup")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was backed up; 0 when all of it was, 1 with a line that says why not."""
    parser = argparse.ArgumentParser(
        "make backup", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--at", type=moment, metavar="MOMENT", help="as the tables were then, such as 2026-11-23T10:00Z"
    )
    parser.add_argument("--list", action="store_true", help="the names of the backups that there are, oldest first")
    add_target(parser)
    options = parser.parse_args(arguments)
    try:
        target = target_of(options)
        backups = TableBackups(target.client("dynamodb"))
        if options.list:
            print("\n".join(backups.names(target.stack_name)))
            return 0
        tables = list(deployed_stack(target).tables())
        if options.at:
            name = name_of(target.stack_name, options.at)
            found = back_up_as_of(backups, tables, target.stack_name, name)
        else:
            name = backups.unused_name(target.stack_name)
            found = back_up(backups, tables, name)
    except (LocalError, BotoCoreError, ClientError) as error:
        print(f"make backup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make backup: interrupted; run it again", file=sys.stderr)
        return INTERRUPTED
    if missing := [table.name for table in tables if table.short not in found]:
        print(f"make backup: there is no table {', '.join(missing)}", file=sys.stderr)
        return 1
    print(f"backup {name}")
    return 0


def moment(text: str) -> datetime:
    """Read a moment with its zone, to the second."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = datetime.min  # noqa: DTZ901 - told below
    if read.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment with its zone; write 2026-11-23T10:00:00Z")
    return read.astimezone(UTC).replace(microsecond=0)


def back_up(backups: TableBackups, tables: Sequence[StackTable], name: str) -> Mapping[str, str]:
    """Back up the tables that exist, at once, and print each; returns ARNs by the tables' short names."""
    there = [table for table in tables if backups.exists(table.name)]
    arns = {table.short: backups.begin(table.name, name, table.short) for table in there}
    _wait(backups, arns, {table.short: backups.count(table.name) for table in there})
    return arns


def back_up_as_of(backups: TableBackups, tables: Sequence[StackTable], stack_name: str, name: str) -> Mapping[str, str]:
    """Back up the tables as they were at the moment that the name tells. What a killed one has done stays done."""
    at = moment_of(stack_name, name)
    arns = backups.find(name)
    copies = {table.short: f"{table.name}.at.{at:%Y%m%dT%H%M%SZ}" for table in tables}
    missing = [table for table in tables if table.short not in arns]
    for table in missing:
        backups.copy_as_of(table.name, at, copies[table.short])
    items = {}
    for table in missing:
        backups.wait_active(copies[table.short])
        items[table.short] = backups.count(copies[table.short])
        arns[table.short] = backups.begin(copies[table.short], name, table.short)
    _wait(backups, {short: arns[short] for short in items}, items)
    for copy in copies.values():
        backups.delete(copy)
    return arns


def _wait(backups: TableBackups, arns: Mapping[str, str], items: Mapping[str, int]) -> None:
    print(f"{COLUMNS[0]:<14}{COLUMNS[1]:>12}{COLUMNS[2]:>16}  {COLUMNS[3]}")
    for short, arn in arns.items():
        details = backups.wait(arn)
        print(f"{short:<14}{items[short]:>12}{details['BackupSizeBytes']:>16}  {arn}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
