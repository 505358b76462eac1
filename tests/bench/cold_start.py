"""What a cold start takes: the processor time of a new process until it can begin with its first event."""

import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from bundle import make_bundle
from tests.settings import ENVIRONMENT

STARTS = 5
SERVICES = {
    "api": "manage_mailings",
    "planner": "plan_mailing",
    "plan-segment": "plan_segment",
    "sender": "send_messages",
    "dispatcher": "dispatch_due",
}
"""What each function builds before its first event."""

# Nothing on the path but the standard library and the zip's content; Lambda cannot write beside the code either.
_PYTHON = [sys.executable, "-I", "-S", "-B", "-c"]
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


def cold_starts() -> list[ColdStart]:
    """Start each function's process several times, from the package that is deployed."""
    with tempfile.TemporaryDirectory(prefix="vestnik-cold-") as folder:
        with zipfile.ZipFile(make_bundle().code) as code:
            code.extractall(folder)
        return [_cold_start(Path(folder), function, service) for function, service in SERVICES.items()]


def _cold_start(code: Path, function: str, service: str) -> ColdStart:
    imports, builds = zip(*(_start(code, service) for _ in range(STARTS)), strict=True)
    return ColdStart(function, statistics.median(imports), statistics.median(builds))


def _start(code: Path, service: str) -> tuple[float, float]:
    ended = subprocess.run(
        [*_PYTHON, _PROGRAM, str(code), service],
        env={"AWS_DEFAULT_REGION": "us-east-1"} | ENVIRONMENT,
        cwd=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    imported, built = json.loads(ended.stdout)
    return imported * 1000, built * 1000
