"""What a benchmark ran on: without it, its numbers say nothing."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("ministack", "chalice", "boto3", "requests", "pynamodb")
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and what was installed on it.

    `load` is the number of processes that wanted a core when the benchmark began (one minute's mean), `commit` that of
    the checkout, with a `+` if it was changed since; None where there is no git.
    """

    cores: int
    load: float
    system: str
    python: str
    versions: dict[str, str]
    commit: str | None

    def __str__(self) -> str:
        """Say it in a line."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cores} cores, load {self.load:.1f} at the start, {self.system}, Python {self.python}, {versions}, "
            f"commit {self.commit or 'unknown'}"
        )


def this_machine() -> Machine:
    """Look at this machine."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={name: version(name) for name in PACKAGES},
        commit=_commit(),
    )


def _commit() -> str | None:
    head = _git("rev-parse", "--short", "HEAD")
    return head and head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=_CHECKOUT, check=True, capture_output=True, text=True)  # noqa: S607 - found on PATH, wherever it is
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
