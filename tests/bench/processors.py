"""Where the time of the processors goes while a stack works, by program: what Linux's own clocks say."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.running_stack import RunningStack

BENCHMARK = "benchmark"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat behind the program's name, which may hold anything: proc(5) counts them from 1, these are 6, 14, 15.
_SESSION, _USER, _SYSTEM = 3, 11, 12

Clocks = Mapping[tuple[str, int], float]
"""Seconds that each process has used so far, by its program and pid."""


def processor_clocks(stack: RunningStack) -> Clocks:
    """Read the clocks of all processes of a stack, and of this one.

    A program is a function by its name (`sender`), else whoever the stack started (`emulator`).
    """
    function = re.compile(rf"AWS_LAMBDA_FUNCTION_NAME={re.escape(stack.info.stack_name)}-([^\0]+)".encode())
    started = {process.pid: process.name for process in stack.embedded.processes()}  # leaders of sessions
    clocks = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is not ours
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            pid, seconds = int(process.name), (int(fields[_USER]) + int(fields[_SYSTEM])) / TICKS_PER_SECOND
            if pid == os.getpid():
                clocks[BENCHMARK, pid] = seconds
            elif program := started.get(int(fields[_SESSION])):
                named = function.search((process / "environ").read_bytes())
                clocks[named[1].decode() if named else program, pid] = seconds
    return clocks


def used_between(before: Clocks, after: Clocks) -> dict[str, float]:
    """Return the seconds that each program used in between, the most first; of processes that ended nobody knows."""
    used: dict[str, float] = defaultdict(float)
    for (program, pid), seconds in after.items():
        used[program] += seconds - before.get((program, pid), 0)
    return dict(sorted(used.items(), key=lambda pair: pair[1], reverse=True))
