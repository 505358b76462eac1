"""The programs beneath a stack: the AWS emulator, the simulated provider, the development issuer."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local_error import LocalError
from probe import end_of, is_port_free, status_of, wait_until
from processes import Process, ProcessRecord, is_alive
from sessions import HOST, local_environ

EMULATOR = "emulator"
SIMULATOR = "provider simulator"
ISSUER = "development issuer"
EMULATOR_LOG = "emulator.log"
ISSUER_FILE = "issuer.json"
READY_SECONDS = 60
_SIMULATOR_PROGRAM = Path(__file__).with_name("provider_simulator.py")
_ISSUER_PROGRAM = Path(__file__).with_name("development_issuer.py")

# What the programs need of the shell. All else stays outside: settings, proxies, PYTHONPATH and AWS accounts
# would pass from the emulator into every function that it runs.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


def start_emulator(record: ProcessRecord, folder: Path, port: int, settings: Mapping[str, str]) -> Process:
    """Start the emulator on loopback and wait until it answers.

    Raises:
        LocalError: the port is taken, or the emulator does not come up.
    """
    if not is_port_free(port):
        raise LocalError(f"port {port} is taken; choose another: PORT={port + 1} make up")
    own_folders = {"STATE_DIR": folder / "state", "TMPDIR": folder / "tmp", "S3_DATA_DIR": folder / "state/s3"}
    for own in own_folders.values():
        own.mkdir(parents=True, exist_ok=True)
    log = folder / EMULATOR_LOG
    emulator = record.start(
        EMULATOR,
        [sys.executable, "-m", "ministack"],
        log=log,
        cwd=folder,
        environ=local_environ(shell(), port)
        | {name: str(path) for name, path in own_folders.items()}
        | {"GATEWAY_PORT": str(port), "BIND_HOST": HOST, "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
        | dict(settings),
    )
    health = f"http://{HOST}:{port}/_ministack/health"
    _wait_for(emulator, log, lambda: status_of(health, timeout_seconds=2) == 200)  # noqa: PLR2004
    return emulator


def start_simulator(record: ProcessRecord, folder: Path, token: str) -> tuple[Process, str]:
    """Start the simulated provider on a free port; return it and its address.

    Raises:
        LocalError: it does not come up.
    """
    log = folder / "provider.log"
    simulator = record.start(
        SIMULATOR,
        [sys.executable, str(_SIMULATOR_PROGRAM), "--port", "0", f"--token={token}"],  # a token may begin with a dash
        log=log,
        cwd=folder,
        environ=shell(),
    )
    return simulator, _announced(simulator, log)


def start_issuer(record: ProcessRecord, folder: Path, audience: str) -> tuple[Process, str]:
    """Start the development issuer, where it was before if that port is free; return it and its address.

    Raises:
        LocalError: it does not come up.
    """
    log = folder / "issuer.log"
    memory = folder / ISSUER_FILE
    issuer = record.start(
        ISSUER,
        [sys.executable, str(_ISSUER_PROGRAM), "--memory", str(memory), f"--audience={audience}"],
        log=log,
        cwd=folder,
        environ=shell(),
    )
    return issuer, _announced(issuer, log)


def read_issuer(folder: Path) -> dict[str, str] | None:
    """Read what the development issuer of the folder last told of itself: address, audience, client_secret."""
    memory = folder / ISSUER_FILE
    if not memory.exists():
        return None
    content = json.loads(memory.read_text())
    return {name: content[name] for name in ("address", "audience", "client_secret")}


def shell() -> dict[str, str]:
    """Take from the shell what programs need of it."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _announced(process: Process, log: Path) -> str:
    """Wait for the line by which a program says where it answers."""
    address = ""

    def is_there() -> bool:
        nonlocal address
        found = re.search(rf"^{process.name} at (http://\S+)$", log.read_text(), re.MULTILINE)
        address = found[1] if found else ""
        return bool(found)

    _wait_for(process, log, is_there)
    return address


def _wait_for(process: Process, log: Path, ready: Callable[[], bool]) -> None:
    def ready_or_ended() -> bool:
        if not is_alive(process):
            raise LocalError(f"the {process.name} ended at once:\n{end_of(log, 10)}")
        return ready()

    wait_until(ready_or_ended, f"the {process.name} answers", deadline_seconds=READY_SECONDS, log=log)
