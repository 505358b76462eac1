"""The host of infra/host beneath a stack: API, worker and clock as processes of this machine."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from files import write_private
from local_error import LocalError
from probe import free_port, status_of, wait_until
from processes import ProcessRecord
from programs import READY_SECONDS, shell
from sessions import HOST, local_environ

ROOT = Path(__file__).resolve().parents[2]
API, WORKER, CLOCK = "host's api", "host's worker", "host's clock"
TRIGGERS_OFF = {"Triggers": "false"}  # parameters of a stack whose work the host does
_CONCURRENCY = {
    "PlanConcurrency": "PLAN_CONCURRENCY",
    "SenderConcurrency": "SENDER_CONCURRENCY",
    "ExpressConcurrency": "EXPRESS_CONCURRENCY",
    "ImportConcurrency": "IMPORT_CONCURRENCY",
}
ENVIRON_FILE = "host.json"
_OK = 200


def start_host(
    record: ProcessRecord,
    folder: Path,
    api_url: str,
    emulator_port: int,
    stack_name: str,
    parameters: Mapping[str, str],
) -> None:
    """Start what does not run of the host, and wait until its API answers.

    Raises:
        LocalError: the stack does not tell its environment, or the API does not answer.
    """
    outer = local_environ(shell(), emulator_port)
    environ = outer | _environment(stack_name, outer) | {"SHIP_LOGS": "true", "WEB_CONCURRENCY": "2"}
    environ |= {variable: parameters[name] for name, variable in _CONCURRENCY.items() if name in parameters}
    write_private(folder / ENVIRON_FILE, json.dumps(environ))
    commands = {API: ["api", "--bind", api_url.removeprefix("http://")], WORKER: ["worker"], CLOCK: ["clock"]}
    for name, arguments in commands.items():
        log = folder / f"{name.rpartition(' ')[2]}.log"
        record.start(name, [sys.executable, "-m", "infra.host", *arguments], log=log, cwd=ROOT, environ=environ)
    wait_until(
        lambda: status_of(f"{api_url}/health") == _OK,
        f"{api_url}/health answers 200",
        deadline_seconds=READY_SECONDS,
        log=folder / "api.log",
    )


def call_host(folder: Path, function: str, event: str) -> bytes:
    """Call a function once, in the environment of the host; return what it returns, as JSON.

    Raises:
        LocalError: it returned nothing; the message has all that was said.
    """
    environ = json.loads((folder / ENVIRON_FILE).read_text())
    command = [sys.executable, "-m", "infra.host", "call", function, event]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False)
    if done.returncode:
        raise LocalError((done.stdout + done.stderr).decode(errors="replace"))
    return done.stdout.splitlines()[-1]


def is_whole(record: ProcessRecord) -> bool:
    """Tell whether all of the host runs."""
    return all(record.living(name) for name in (API, WORKER, CLOCK))


def digest_of_host() -> str:
    """Name the state of the host's own code."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "infra" / "host").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def stop_host(record: ProcessRecord) -> list[str]:
    """End what runs of the host; returns the names of what did."""
    return [process.name for process in record if process.name in {API, WORKER, CLOCK} and record.stop(process)]


def address_of_host(record: ProcessRecord, before: str | None) -> str:
    """Tell where the host's API stands: where it stands already, or on a free port."""
    return before if before and record.living(API) else f"http://{HOST}:{free_port()}"


def _environment(stack_name: str, outer: Mapping[str, str]) -> dict[str, str]:
    command = [sys.executable, "-m", "infra.host", "environment", "--stack-name", stack_name]
    done = subprocess.run(command, cwd=ROOT, env=dict(outer), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(f"the stack does not tell its environment:\n{done.stderr}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())
