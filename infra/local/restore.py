"""Restore all tables of a stack from a backup, without sending anything again that was sent since.

In this order: nothing calls the functions any more; what is there is backed up; each table is deleted and restored
under its own name, with the settings that a restore loses; mailings that could send are held; what senders have logged
since is recorded in the rows; phones that opted out since are suppressed again; counters are set right; the functions
are called again. Killed anywhere, it is run again. With AT, the backup of that second is made first.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # run by its path, it finds its own folder only

from aftermath import Aftermath
from backup import back_up, back_up_as_of, moment
from chalicelib.errors import ServiceError
from deployed_application import application_of, sender_settings
from local_error import LocalError
from stack_tables import StackTable, deployed_stack
from table_backups import TableBackups, moment_of, name_of
from targets import STACK_FILE, Target, add_target, target_of
from triggers import Triggers

USAGE = """make restore BACKUP=vestnik-20261123T100000Z | AT=2026-11-23T10:00:00Z  [YES=1] [STAGE=dev]
       restore.py --backup NAME | --at MOMENT  [--yes] [--stack-name NAME] [--keep FOLDER]"""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each step; 0 when all is as it should be, 1 with a line that says what is not."""
    options = _parser().parse_args(arguments)
    try:
        target = target_of(options)
        name = options.backup or name_of(target.stack_name, options.at)
        moment_of(target.stack_name, name)
        if not options.yes and not _agreed(target, name):
            print("make restore: nothing was done; say yes, or YES=1", file=sys.stderr)
            return 1
        wrong = _restore(target, name, options.keep, make_it=options.at is not None)
    except (LocalError, ServiceError, BotoCoreError, ClientError) as error:
        print(f"make restore: {error}\nmake restore: not done; run it again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make restore: interrupted; the functions may be stopped: run it again", file=sys.stderr)
        return INTERRUPTED
    for line in wrong:
        print(f"make restore: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make restore", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    from_what = parser.add_mutually_exclusive_group(required=True)
    from_what.add_argument("--backup", metavar="NAME", help="as `make backup` has printed it")
    from_what.add_argument("--at", type=moment, metavar="MOMENT", help="as the tables were then")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--keep", type=Path, default=STACK_FILE.parent, metavar="FOLDER", help="where phones are kept meanwhile"
    )
    add_target(parser)
    return parser


def _agreed(target: Target, name: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"All tables of {target.stack_name} will be replaced by {name}; the API stops meanwhile.")
    return input("Go on? (yes) ").strip() == "yes"


def _restore(target: Target, name: str, keep: Path, *, make_it: bool) -> list[str]:
    """Do all of it; returns what the operator has to see to."""
    stack = deployed_stack(target)
    tables, backups = list(stack.tables()), TableBackups(target.client("dynamodb"))
    if make_it:
        print(f"backing up the tables as of {moment_of(stack.name, name)}", flush=True)
        back_up_as_of(backups, tables, stack.name, name)
    arns = backups.find(name)
    if missing := [table.short for table in tables if table.short not in arns]:
        raise LocalError(f"{name} has no backup of {', '.join(missing)}; there are: {backups.names(stack.name)}")
    for arn in arns.values():
        backups.wait(arn)
    settings = sender_settings(target)
    application = application_of(target, settings)
    aftermath = Aftermath(application, target, moment_of(stack.name, name), settings, keep)
    triggers = Triggers(target, stack)

    triggers.stop()
    print("the functions are stopped", flush=True)
    if backups.status(application.settings.table_prefix + "-suppressions") == "ACTIVE":
        aftermath.keep_opt_outs()
    _replace(backups, tables, arns, backups.unused_name(stack.name))
    wrong = [*aftermath.settle()]
    print("calling the functions again", flush=True)
    if not triggers.start():
        print("the stack has Triggers=false: start the host that does the work")
    print(f"restored {name}")
    return wrong


def _replace(backups: TableBackups, tables: Sequence[StackTable], arns: Mapping[str, str], before: str) -> None:
    """Put the backups in the place of the tables, all at once: AWS takes as long for one as for all."""
    on_their_way = {table.short for table in tables if backups.is_being_restored_from(table.name, arns[table.short])}
    replaced = [table for table in tables if table.short not in on_their_way]
    print(f"backing up what is there as {before}", flush=True)
    back_up(backups, [table for table in replaced if backups.wait_settled(table.name)], before)
    for table in replaced:
        backups.delete(table.name)
        backups.restore(table.name, arns[table.short])
        print(f"restoring {table.name}", flush=True)
    for table in tables:
        backups.wait_active(table.name)
        backups.set_again(table)
    print(f"{'table':<14}{'items':>12}")
    for table in tables:
        print(f"{table.short:<14}{backups.count(table.name):>12}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
