"""The Prometheus of this machine, and its promtool."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from probe import free_port
from tests.running_stack import poll

MONITORING = Path(__file__).parents[1] / "infra/monitoring"
READY_SECONDS = 30


def program(name: str) -> str:
    """Find a program of the Debian package `prometheus`; without it, CI fails and others skip."""
    path = shutil.which(name)
    if path is None:
        missing = f"there is no {name} on the PATH (Debian package prometheus)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


def promtool(*arguments: str | Path, given: str | None = None) -> str:
    """Run promtool; returns what it says, and fails if it finds fault."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], input=given, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Evaluate an expression now; returns values by their labels, in order, without those of the target."""
        answer = self._get("query", query=expression)
        return {
            tuple(
                sorted((name, text) for name, text in each["metric"].items() if name not in {"instance", "job"})
            ): float(each["value"][1])
            for each in answer["result"]
        }

    def targets(self) -> list[dict[str, Any]]:
        """Tell of what it scrapes."""
        targets: list[dict[str, Any]] = self._get("targets")["activeTargets"]
        return targets

    def is_ready(self) -> bool:
        """Tell whether it answers queries."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).ok
        except requests.ConnectionError:
            return False

    def _get(self, what: str, **params: str) -> Any:  # noqa: ANN401 - JSON
        answer = requests.get(f"{self.url}/api/v1/{what}", params=params, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]


@contextmanager
def running_prometheus(folder: Path, metrics_url: str, secret: Path) -> Iterator[Prometheus]:
    """Have one scrape every few seconds while the block runs."""
    parts, port = urlsplit(metrics_url), free_port()
    config = {
        "global": {"scrape_interval": "4s", "scrape_timeout": "4s", "evaluation_interval": "4s"},
        "rule_files": [str(MONITORING / "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": "vestnik",
                "metrics_path": parts.path,
                "authorization": {"credentials_file": str(secret)},
                "static_configs": [{"targets": [parts.netloc]}],
            }
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    command = [
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")
            poll(found.is_ready, until=bool, deadline_seconds=READY_SECONDS)
            yield found
        finally:
            process.terminate()
