"""A run of Schemathesis against a stack."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.fuzz.seeds import Examples, sow
from tests.fuzz.tally import Played, read_tally
from tests.running_stack import RunningStack

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).parent / "schemathesis.toml"

# Played at the same time. Dead letters stand apart because each look at them waits a second for SQS. It takes
# processes: Hypothesis parses source code as it draws, which threads of Python 3.11 must not do at once
# (https://github.com/python/cpython/issues/106905), so that several `--workers` fail now and then.
SHARES = (
    ("--exclude-tag", "dead letters"),
    ("--include-name", "GET /dead-letters"),
    ("--include-name", "POST /dead-letters/redrive"),
)


@dataclass(frozen=True, slots=True)
class Game:
    """How a run went: what Schemathesis said, and what was done by operation (`GET /clients`)."""

    passed: bool
    said: str
    tally: Mapping[str, Played]


def play(stack: RunningStack, folder: Path, *, cases: int, seed: int) -> Game:
    """Fill a stack with data, and play: up to so many cases an operation in each phase that makes up data."""
    document = folder / "openapi.json"  # a file: the address that a document comes from is not played
    document.write_text(stack.request("GET", "/openapi.json").text)
    arguments = ["run", str(document), "--max-examples", str(cases), "--seed", str(seed), "--no-color"]
    folders = [folder / str(number) for number in range(len(SHARES))]
    with ThreadPoolExecutor(len(SHARES)) as pool:
        games = list(pool.map(partial(_play, stack, sow(stack), arguments), folders, SHARES))
    return Game(
        passed=all(game.passed for game in games),
        said="\n".join(game.said for game in games),
        tally={operation: played for game in games for operation, played in game.tally.items()},
    )


def _play(
    stack: RunningStack, examples: Examples, arguments: Sequence[str], folder: Path, share: Sequence[str]
) -> Game:
    folder.mkdir()
    tally = folder / "tally.json"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *arguments,
            *share,
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "infra" / "local"))),
            "FUZZ_API_URL": stack.info.api_url,
            "FUZZ_TOKEN": stack.token,
            "FUZZ_EXAMPLES": json.dumps(examples),
            "FUZZ_TALLY": str(tally),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Game(ended.returncode == 0, ended.stdout, read_tally(tally))
