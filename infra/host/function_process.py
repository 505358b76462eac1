"""A process of its own for a function, as Lambda gives it one: started by the first call, killed if one overruns."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from infra.host.functions import Function
from infra.host.log_shipping import TakeLine

START_SECONDS = 60


class CallError(Exception):
    """A call of a function came to nothing: it raised, overran its time, or died. The message says which."""


@dataclass(frozen=True, slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    events: IO[bytes]
    answers: BinaryIO
    lines: threading.Thread  # which lasts as long as the process


class FunctionProcess:
    """Calls one function, one call at a time, in a process that lives on between calls.

    Killed or crashed, it is started anew by the next call: a function that cannot start fails call by call, and nothing
    spins.
    """

    def __init__(self, function: Function, take_line: TakeLine) -> None:
        self._function = function
        self._take_line = take_line
        self._running: _Running | None = None

    def call(self, event: object) -> Any:  # noqa: ANN401 - what the function returns, as JSON
        """Call the function, and wait for what it returns.

        Raises:
            CallError: it returned nothing.
        """
        running = self._running or self._start()
        line = self._exchanged(running, json.dumps(event).encode() + b"\n", self._function.timeout_seconds)
        answer = json.loads(line)
        if "error" in answer:
            raise CallError(answer["error"])
        return answer["returned"]

    def end(self) -> None:
        """End the process, if there is one."""
        running, self._running = self._running, None
        if running:
            running.process.kill()
            _close(running)
            running.lines.join()

    def _start(self) -> _Running:
        answers, answers_of_child = os.pipe()
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "infra.host.runtime", self._function.name, str(answers_of_child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[answers_of_child],
            env=os.environ | {"AWS_LAMBDA_FUNCTION_NAME": f"{os.environ['TABLE_PREFIX']}-{self._function.name}"},
        )
        os.close(answers_of_child)
        assert process.stdin  # noqa: S101 - it is a pipe
        assert process.stdout  # noqa: S101
        lines = threading.Thread(target=self._relay, args=(process.stdout,), daemon=True)
        lines.start()
        self._running = _Running(process, process.stdin, os.fdopen(answers, "rb"), lines)
        self._exchanged(self._running, b"", START_SECONDS)
        return self._running

    def _exchanged(self, running: _Running, line: bytes, seconds: float) -> bytes:
        answer = b""
        with _killed_after(running.process, seconds) as overran, suppress(OSError):
            running.events.write(line)
            running.events.flush()
            answer = running.answers.readline()
        if not answer.endswith(b"\n"):
            self._running = None
            running.process.kill()
            _close(running)
            code = running.process.wait()
            raise CallError(f"took longer than {seconds:g} s" if overran.is_set() else f"its process {_ended(code)}")
        return answer

    def _relay(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._take_line(self._function.name, line)


@contextmanager
def _killed_after(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[threading.Event]:
    """Kill the process if the block lasts longer; says whether it did."""
    overran = threading.Event()

    def kill() -> None:
        overran.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield overran
    finally:
        timer.cancel()


def _close(running: _Running) -> None:
    with suppress(OSError):  # what was not written any more
        running.events.close()
    running.answers.close()
    running.process.wait()


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
