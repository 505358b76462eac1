"""`make fuzz`: Schemathesis against a stack of its own, for as long as it takes."""

import argparse
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.fuzz.play import play
from tests.fuzz.tally import table
from tests.running_stack import RunningStack


def main() -> int:
    """Play; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="up to so many an operation (default: 1000)")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32), help="of a run to be repeated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vestnik-fuzz-") as folder:
        embedded = EmbeddedStack(StackOptions(folder=Path(folder, "stack"), port=free_port()))
        stack = RunningStack(embedded, embedded.up())
        try:
            _say(f"playing up to {arguments.cases} cases an operation by SEED={arguments.seed}")
            game = play(stack, Path(folder), cases=arguments.cases, seed=arguments.seed)
        finally:
            stack.close()
    _say("\n".join((game.said, *table(game.tally), "", f"SEED={arguments.seed} repeats this run")))
    return 0 if game.passed else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command talks by printing


if __name__ == "__main__":
    sys.exit(main())
