"""`make faults`: plays the scenarios on a stack of their own and prints what came of each, as a table.

Ends with 1 if a promise was broken or a scenario did not come to its end.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import requests
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.auditor import Audit, table
from tests.faults.ground import MissingError, prepared_ground
from tests.faults.scenarios import SCENARIOS, Scenario

CROWD_SIZE = 280
# What may keep one scenario from its end: the others play all the same, and the table says what they came to.
UNFINISHED = (MissingError, AssertionError, requests.RequestException, BotoCoreError, ClientError)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", nargs="*", default=[""], help="scenarios whose names contain a text")
    parser.add_argument("--crowd", type=int, default=CROWD_SIZE, help="clients of each mailing (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the choices what to kill and how to shuffle")
    options = parser.parse_args()
    chosen = [one for one in SCENARIOS if any(text in one.name for text in options.only)]
    if not chosen:
        parser.error(f"--only: there are {', '.join(one.name for one in SCENARIOS)}")
    audits: list[Audit] = []
    unfinished: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="vestnik-faults-") as folder,
        prepared_ground(Path(folder), crowd=options.crowd, say=_say, seed=options.seed) as ground,
    ):
        for number, scenario in enumerate(chosen, 1):
            began = time.monotonic()
            try:
                one = scenario.play(ground)
            except UNFINISHED as error:
                unfinished.append(f"{scenario.name}: {error!r}")
                ground.stack.control()
                said = repr(error)
            else:
                audits.append(one)
                said = "kept every promise" if one.kept else "; ".join(one.findings)
            _say(f"{number:3}/{len(chosen)} {_timed(scenario, began)} {said}")
        # Before the stack is gone: the emulator leaves gigabytes of killed workers, which take their time to remove.
        return _conclude(audits, unfinished)


def _timed(scenario: Scenario, began: float) -> str:
    return f"{scenario.name:<20} {time.monotonic() - began:5.0f} s "


def _conclude(audits: list[Audit], unfinished: list[str]) -> int:
    if audits:
        _say("\n" + table(audits))
    broken = [f"{one.scenario}: {finding}" for one in audits for finding in one.findings]
    for line in [*broken, *unfinished]:
        _say(f"BROKEN {line}")
    return 1 if broken or unfinished else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command talks by printing


if __name__ == "__main__":
    sys.exit(main())
