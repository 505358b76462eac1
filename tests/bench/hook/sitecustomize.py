"""Record each call of AWS that a Lambda worker makes; Python imports this module by itself from its PYTHONPATH.

Give the emulator `PYTHONPATH` (this folder, and nothing beside it) and `BENCH_CALLS` (an empty folder): its Lambda
workers inherit both. Without `AWS_LAMBDA_FUNCTION_NAME` nothing happens, so the emulator itself is left alone.

A line of JSON per request that went out (so a retry counts), in a file per process: `at` (seconds since 1970, when
the answer was there), `function`, `service`, `operation`, `status` (null without an answer), `request_bytes`,
`peak_kib` (the worker's memory so far), `cpu_s` (its processor time so far) and, of DynamoDB, what was asked and
answered. What it means is worked out when the run is over: here it would take the time that is being measured.
"""

import importlib.util
import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

WATCHED = "botocore.endpoint"
STATUS = Path("/proc/self/status")


class Recorder:
    """Writes down what one process asks of AWS. Thread-safe."""

    def __init__(self, folder: Path, function: str) -> None:
        self._function = function
        # Unbuffered would tear lines of two threads apart; a buffered file holds a lock of its own for each write.
        self._file = (folder / f"{function}-{os.getpid()}-{uuid.uuid4().hex}.jsonl").open("ab")

    def watch(self, endpoint_class: Any) -> None:  # noqa: ANN401 - botocore, whichever the worker imports
        """Have each request of these endpoints recorded once it is answered, or failed."""
        get_response = endpoint_class._get_response

        def recorded(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:  # noqa: ANN401
            outcome = get_response(endpoint, request, operation_model, context)
            self._write(request, operation_model, outcome[0])
            return outcome

        endpoint_class._get_response = recorded

    def _write(self, request: Any, operation_model: Any, success: Any) -> None:  # noqa: ANN401
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        service = operation_model.service_model.service_name
        status = success[0].status_code if success else None
        head = {
            "at": time.time(),
            "function": self._function,
            "service": service,
            "operation": operation_model.name,
            "status": status,
            "request_bytes": len(body),
            "peak_kib": peak_kib(),
            "cpu_s": time.process_time(),
        }
        line = json.dumps(head).encode()
        if service == "dynamodb":  # the answers of others may be streams, or secrets
            answer = success[0].content if success else b""
            # Both are JSON already; in JSON a line break is never but white space.
            raw = b', "request": %b, "answer": %b}' % (body, answer if answer.startswith(b"{") else b"null")
            line = line[:-1] + raw.replace(b"\n", b" ")
        self._file.write(line + b"\n")
        self._file.flush()  # a worker is ended by a signal


def peak_kib() -> int:
    """Tell the most memory that this process has had, KiB.

    Not `ru_maxrss` where there is something better: a process has inherited it from the one that started it, so that
    a worker would seem to be as large as the emulator.
    """
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # macOS tells bytes


class WhenImported(MetaPathFinder):
    """Watches botocore as soon as it is imported: by then it is known whose botocore that is."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the watched module as others would, and no other."""
        if fullname != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_watch(module: ModuleType) -> None:
            execute(module)
            self._recorder.watch(module.Endpoint)

        spec.loader.exec_module = execute_and_watch  # type: ignore[method-assign]
        return spec


def install(environ: os._Environ[str] | dict[str, str]) -> None:
    """Record from here on, if this is a Lambda worker of a run that wants it."""
    function, folder = environ.get("AWS_LAMBDA_FUNCTION_NAME"), environ.get("BENCH_CALLS")
    if function and folder:
        sys.meta_path.insert(0, WhenImported(Recorder(Path(folder), function)))


install(os.environ)
