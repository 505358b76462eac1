"""The ends of programs beneath a stack: each with all that it started."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import processes
from processes import Process, ProcessRecord, is_alive
from programs import shell
from tests.running_stack import poll

# As the emulator does: told to end, it has just begun a call, waits for that, and saves its state then.
BUSY_AT_ITS_END = """
import pathlib, signal, subprocess, sys

def end(*_):
    with open("told", "a") as told:
        told.write("to end;")
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("saved").touch()
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""

KILLED_BEFORE_IT_RECORDS = """
import json, os, pathlib, signal, sys
from dataclasses import asdict
sys.path[:0] = sys.argv[1:]
from processes import ProcessRecord

class Killed(ProcessRecord):
    def _write(self, processes):
        print(json.dumps(asdict(processes[-1])), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

begin = [sys.executable, "-c", "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(600)"]
here = pathlib.Path.cwd()
Killed(here / "processes.json").start("lost", begin, log=here / "log", environ=os.environ, cwd=here)
"""


def test_what_nobody_could_end_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_BEFORE_IT_RECORDS, str(Path(processes.__file__).parent)]
    killed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lost = Process(**json.loads(killed.stdout))
    try:
        poll(lambda: is_alive(lost), until=lambda alive: not alive, deadline_seconds=30)
        assert not (tmp_path / "begun").exists()
    finally:
        if is_alive(lost):
            os.killpg(lost.pid, signal.SIGKILL)


def test_what_a_program_starts_while_it_ends_does_not_keep_it_from_ending_well(tmp_path: Path) -> None:
    record, log = ProcessRecord(tmp_path / "processes.json"), tmp_path / "log"
    argv = [sys.executable, "-c", BUSY_AT_ITS_END]
    process = record.start("busy", argv, log=log, environ=shell(), cwd=tmp_path)
    poll(log.read_text, until=lambda text: "ready" in text, deadline_seconds=60)

    assert record.stop(process, grace_seconds=60)

    assert (tmp_path / "saved").exists(), "killed before it was done"
    assert (tmp_path / "told").read_text() == "to end;", "its leader is told once, and left to its last work"
    assert list(record) == []


def test_a_child_that_ends_while_one_looks_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = ProcessRecord(tmp_path / "processes.json")
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = record.start("idle", argv, log=tmp_path / "log", environ=shell(), cwd=tmp_path)
    look, stat = processes._rows_of_proc, Path(f"/proc/{process.pid}/stat")

    def look_when_it_has_ended() -> list[processes._Row]:
        os.kill(process.pid, signal.SIGKILL)
        poll(stat.read_text, until=lambda text: ") Z " in text, deadline_seconds=60)
        return look()

    with monkeypatch.context() as patch:
        patch.setattr(processes, "_rows_of_proc", look_when_it_has_ended)
        assert record.living("idle") is None

    assert not stat.exists(), "it is a zombie"
