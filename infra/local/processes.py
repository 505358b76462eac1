"""Background processes that outlive the program which started them, and that only their own record may end."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from files import write_private

POLL_SECONDS = 0.05
TELL_AGAIN_SECONDS = 1.0
# A shell that becomes the program when it is told to, and ends when whoever should tell it is gone.
_WHEN_TOLD = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "sh")


@dataclass(frozen=True)
class Process:
    """A leader of its own session: `started` tells it from a later process that was given the same pid."""

    name: str
    pid: int
    started: str


class _Row(NamedTuple):
    pid: int
    group: int
    started: str


class ProcessRecord:
    """The processes of one stack, kept in a file from the moment each one starts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Process]:
        if self._path.exists():
            yield from (Process(**row) for row in json.loads(self._path.read_text()))

    def living(self, name: str) -> Process | None:
        """Return the process of that name if it still runs."""
        return next((process for process in self if process.name == name and is_alive(process)), None)

    def start(self, name: str, argv: Sequence[str], *, log: Path, environ: Mapping[str, str], cwd: Path) -> Process:
        """Start `argv` in a session of its own, its output in `log`, and record it.

        It begins when it is recorded, and not at all if this program is killed before that: nobody would end it.
        """
        with interrupts_held(), log.open("wb") as output:
            child = subprocess.Popen(  # it outlives this program: nobody here waits for it
                [*_WHEN_TOLD, *argv],
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _children[child.pid] = child
            started = next((row.started for row in _living_rows() if row.pid == child.pid), "ended at once")
            process = Process(name, child.pid, started)
            self._write([*(other for other in self if other.name != name), process])
            assert child.stdin  # noqa: S101 - it is a pipe
            with suppress(BrokenPipeError), child.stdin:  # it may have been ended while it waited
                child.stdin.write(b"go\n")
        return process

    def stop(self, process: Process, *, grace_seconds: float = 8) -> bool:
        """End the process with all it started: TERM, then KILL; return whether there was anything to end.

        What it starts while it ends is told, too: the emulator waits for the calls of functions that it has begun, for
        a minute if need be, and saves its state after that.
        """
        with interrupts_held():
            was_alive = is_alive(process)
            if was_alive:
                _signal_group(process.pid, signal.SIGTERM)
                if not _group_ends(process.pid, grace_seconds):
                    _signal_group(process.pid, signal.SIGKILL)
                    _group_ends(process.pid, grace_seconds)
            self._write([other for other in self if other != process])
        return was_alive

    def _write(self, processes: Sequence[Process]) -> None:
        if processes:
            write_private(self._path, json.dumps([asdict(process) for process in processes]))
        else:
            self._path.unlink(missing_ok=True)


def is_alive(process: Process) -> bool:
    """Tell whether this very process runs: not a zombie, not a stranger with its pid."""
    return any(row.pid == process.pid and row.started == process.started for row in _living_rows())


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block is done, so that it is done whole."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    previous = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if held:
        raise KeyboardInterrupt


# Children of this very program stay zombies until it asks for them.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _group_ends(group: int, deadline_seconds: float) -> bool:
    """Wait for it. All but its leader are told again each second: who was just being born has not heard."""
    began = told_at = time.monotonic()
    while living := [row.pid for row in _living_rows() if row.group == group]:
        now = time.monotonic()
        if now - began > deadline_seconds:
            return False
        if now - told_at > TELL_AGAIN_SECONDS:
            told_at = now
            for pid in living:
                if pid != group:
                    _signal(pid, signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    return True


def _living_rows() -> list[_Row]:
    rows = _rows_of_proc() if Path("/proc/self/stat").exists() else _rows_of_ps()
    for child in list(_children.values()):  # after that: who is not among them is asked for
        if child.poll() is not None:
            del _children[child.pid]
    return rows


def _rows_of_proc() -> list[_Row]:
    rows = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = entry.read_text().partition(" (")
        except OSError:
            continue  # it ended while we looked
        fields = rest.rpartition(") ")[2].split()  # the name in between may hold anything: `man 5 proc`
        if fields[0] != "Z":
            rows.append(_Row(int(pid), int(fields[2]), fields[19]))
    return rows


def _rows_of_ps() -> list[_Row]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="],  # noqa: S607 - found on PATH, wherever it is
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    fields = (line.split(None, 3) for line in listing.splitlines())
    return [_Row(int(pid), int(group), started) for pid, group, state, started in fields if not state.startswith("Z")]
