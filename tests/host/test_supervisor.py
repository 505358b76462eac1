"""Supervisors: real processes that are told to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.running_stack import poll

PROGRAM = """
import os, sys, time
from pathlib import Path
from infra.host.calls import Calls
from infra.host.functions import functions
from infra.host.supervisor import supervise

def tidy(stopping):
    stopping.wait()
    time.sleep(1)
    os.write(1, b"finished what was in hand\\n")  # in one piece: several end at once

def hangs(stopping):
    calls = Calls(functions()["sender"], 1, lambda *_: None)
    calls.begin(lambda call: time.sleep(60))
    calls.end()

def breaks(stopping):
    raise ValueError("wrong")

loops = [globals()[name] for name in sys.argv[1:]]
sys.exit(supervise(loops, stop_seconds=3, alive_file=Path("alive")))
"""


@contextmanager
def supervisor(folder: Path, *loops: str) -> Iterator["subprocess.Popen[str]"]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(program), *loops], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def touched(folder: Path) -> float:
    alive = folder / "alive"
    return alive.stat().st_mtime if alive.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_hand_is_finished_after_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with supervisor(tmp_path, "tidy", "tidy") as process:
        poll(lambda: touched(tmp_path), until=bool, deadline_seconds=20)
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)

    assert (process.returncode, said) == (0, "finished what was in hand\n" * 2)


def test_what_does_not_end_is_left_after_a_while(tmp_path: Path) -> None:
    with supervisor(tmp_path, "tidy", "hangs") as process:
        poll(lambda: touched(tmp_path), until=bool, deadline_seconds=20)
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=20)

    assert process.returncode == 1
    assert time.monotonic() - began < 10


def test_loop_that_breaks_down_ends_them_all(tmp_path: Path) -> None:
    with supervisor(tmp_path, "tidy", "breaks") as process:
        said, _ = process.communicate(timeout=30)

    assert (process.returncode, said) == (1, "finished what was in hand\n")


def test_file_is_touched_while_all_is_well_and_no_more_after_that(tmp_path: Path) -> None:
    with supervisor(tmp_path, "tidy") as process:
        first = poll(lambda: touched(tmp_path), until=bool, deadline_seconds=20)
        poll(lambda: touched(tmp_path), until=lambda later: later > first, deadline_seconds=5)
        os.kill(process.pid, signal.SIGSTOP)
        last = touched(tmp_path)
        deadline = time.monotonic() + 2.5
        poll(time.monotonic, until=lambda now: now > deadline, deadline_seconds=5)
        assert touched(tmp_path) == last
        os.kill(process.pid, signal.SIGCONT)
        poll(lambda: touched(tmp_path), until=lambda later: later > last, deadline_seconds=5)
