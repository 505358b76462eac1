"""docker-compose.localstack.yml, and its commands as this machine runs them: on loopback, with free ports."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from probe import free_port
from processes import ProcessRecord

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.localstack.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PORTS = ("4566", "8080", "8090", "9090")
_HOSTS = r"(?:aws|provider|issuer\.localhost|localhost|127\.0\.0\.1|0\.0\.0\.0)"
DEADLINE_SECONDS = 150


@dataclass(frozen=True)
class Machine:
    """This machine in the containers' place: all of them share `folder`, as there they share a volume."""

    folder: Path
    ports: Mapping[str, str]

    def here(self, text: str) -> str:
        """Translate what stands in the file: folders, addresses, ports."""
        folders = {"/app/.local": self.folder, "/etc/vestnik": self.folder / "monitoring", "/vestnik": self.folder}
        text = re.sub("|".join(folders), lambda found: str(folders[found[0]]), text)
        text = re.sub(rf"{_HOSTS}:(\d+)", lambda found: f"127.0.0.1:{self.ports[found[1]]}", text)
        text = re.sub(r"^(--port=)?(\d{4})$", lambda found: f"{found[1] or ''}{self.ports[found[2]]}", text)
        return text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - in its place comes loopback

    def command(self, service: str, *, program: str = sys.executable) -> list[str]:
        """Return a service's command; its entry point is the image's."""
        return [program, *map(self.here, SERVICES[service]["command"])]

    def environ(self, service: str) -> dict[str, str]:
        """Return a service's environment, and what programs of this machine need beside it."""
        needed = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        given = SERVICES[service].get("environment", {})
        own = {name: self.here(value) for name, value in given.items() if value is not None}  # else: the shell's
        return {**needed, "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"), **own}

    def run(self, service: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Run a service that ends by itself."""
        return self._run([*self.command(service), *more], self.environ(service))

    def is_healthy(self, service: str) -> bool:
        """Run the service's health check once."""
        how, program, *arguments = SERVICES[service]["healthcheck"]["test"]
        assert how == "CMD"
        command = [sys.executable if program == "python" else program, *map(self.here, arguments)]
        return self._run(command, self.environ(service)).returncode == 0

    @contextmanager
    def running(self, service: str, *, program: str = sys.executable) -> Iterator[None]:
        """Run a service while the block runs; it ends with all that it started."""
        record = ProcessRecord(self.folder / f"{service}.processes.json")
        log, environ = self.folder / f"{service}.log", self.environ(service)
        process = record.start(service, self.command(service, program=program), log=log, environ=environ, cwd=ROOT)
        try:
            yield
        finally:
            record.stop(process)

    def _run(self, command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )


def machine_in(folder: Path) -> Machine:
    """Give the containers a folder and free ports; Prometheus' files are translated copies."""
    (folder / "tmp").mkdir()
    machine = Machine(folder, {port: str(free_port()) for port in PORTS})
    (folder / "monitoring").mkdir()
    for file in (ROOT / "infra" / "monitoring").glob("*.yml"):
        (folder / "monitoring" / file.name).write_text(machine.here(file.read_text()))
    return machine
