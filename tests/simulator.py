"""The provider simulator as a process of its own, for tests that speak to it over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPT = Path(__file__).parents[1] / "infra" / "local" / "provider_simulator.py"
_ANNOUNCEMENT = "provider simulator at "
_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class RunningSimulator:
    """A simulator that answers at `url` (no trailing slash)."""

    url: str
    process: subprocess.Popen[str]

    def control(self, **behaviour: object) -> dict[str, Any]:
        """Set the whole behaviour, without arguments back to success; return it as it is in force."""
        return _content(requests.post(f"{self.url}/_control", json=behaviour, timeout=_TIMEOUT_SECONDS))

    def received(self, **params: int) -> dict[str, Any]:
        """Return counts and the last requests; `limit` and `id` as in the query."""
        return _content(requests.get(f"{self.url}/_received", params=params, timeout=_TIMEOUT_SECONDS))

    def clear(self) -> None:
        """Forget what was received."""
        requests.delete(f"{self.url}/_received", timeout=_TIMEOUT_SECONDS).raise_for_status()


def _content(response: requests.Response) -> dict[str, Any]:
    response.raise_for_status()
    content: dict[str, Any] = response.json()
    return content


@contextmanager
def start_simulator(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningSimulator]:
    """Run a simulator on a free port while the block runs.

    `options` go on its command line, `environment` is added to this process's.

    Raises:
        RuntimeError: It ended without having announced its address.
    """
    command = [sys.executable, str(SCRIPT), "--port", "0", *options]
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(_ANNOUNCEMENT):
                raise RuntimeError(f"the simulator did not start: {line!r}, see its stderr")
            yield RunningSimulator(line.removeprefix(_ANNOUNCEMENT).strip(), process)
        finally:
            process.terminate()
            try:
                process.wait(_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
