"""What a cold start takes of a processor: to unpack the package, and to be ready for the first event."""

import statistics
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from bundle import make_bundle
from tests.settings import ENVIRONMENT
from tests.unpacked import run_unpacked

STARTS = 5
SERVICES = {
    "api": "manage_mailings",
    "planner": "plan_mailing",
    "plan-segment": "plan_segment",
    "sender": "send_messages",
    "dispatcher": "dispatch_due",
}
"""What each function builds before its first event."""

_MEGABYTE = 1_000_000
_PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
begun = time.process_time()
import app
from chalicelib.bootstrap import application
imported = time.process_time()
getattr(application(), sys.argv[2])
print(json.dumps([imported - begun, time.process_time() - imported]))
"""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Milliseconds of a processor, medians: to import the application, and to build what the function needs of it."""

    function: str
    import_ms: float
    build_ms: float


@dataclass(frozen=True, slots=True)
class Package:
    """What is deployed: its size, and the median of the milliseconds of a processor that it takes to unpack it."""

    files: int
    zip_mb: float
    unpacked_mb: float
    unpack_ms: float


def measure_package() -> Package:
    """Unpack the package several times, as the emulator does for each process."""
    path = make_bundle().code
    with zipfile.ZipFile(path) as code:
        entries = code.infolist()
    unpack_ms = statistics.median(_unpack(path) for _ in range(STARTS))
    unpacked = sum(entry.file_size for entry in entries)
    return Package(len(entries), path.stat().st_size / _MEGABYTE, unpacked / _MEGABYTE, unpack_ms)


def _unpack(path: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="vestnik-cold-") as folder, zipfile.ZipFile(path) as code:
        begun = time.process_time()
        code.extractall(folder)
        return (time.process_time() - begun) * 1000


def cold_starts() -> list[ColdStart]:
    """Start each function's process several times, from the package that is deployed."""
    with tempfile.TemporaryDirectory(prefix="vestnik-cold-") as folder:
        with zipfile.ZipFile(make_bundle().code) as code:
            code.extractall(folder)
        return [_cold_start(Path(folder), function, service) for function, service in SERVICES.items()]


def _cold_start(code: Path, function: str, service: str) -> ColdStart:
    imports, builds = zip(*(_start(code, function, service) for _ in range(STARTS)), strict=True)
    return ColdStart(function, statistics.median(imports), statistics.median(builds))


def _start(code: Path, function: str, service: str) -> tuple[float, float]:
    environ = ENVIRONMENT | {"AWS_LAMBDA_FUNCTION_NAME": f"vestnik-{function}"}
    imported, built = run_unpacked(code, _PROGRAM, service, environ=environ)
    return imported * 1000, built * 1000
