"""A function's process: real ones, with a stand-in for app.py."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.host.function_process import CallError, FunctionProcess
from tests.host.conftest import function
from tests.running_stack import poll

SUPERVISOR = """
import sys, threading
from infra.host.function_process import FunctionProcess
from infra.host.functions import functions

process = FunctionProcess(functions()["sender"], lambda name, line: print(line.decode(), end="", flush=True))
print(process.call({"do": "tell"})["pid"], flush=True)
threading.Thread(target=process.call, args=({"do": "sleep", "seconds": 60},), daemon=True).start()
sys.stdin.read()
"""


def is_there(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z"


def within(seconds: float, what: Callable[[], object]) -> None:
    assert poll(what, until=bool, deadline_seconds=seconds)


def test_what_the_handler_returns_is_handed_back(process: FunctionProcess) -> None:
    value = {"batchItemFailures": [], "text": "ж\n"}

    assert process.call({"do": "return", "value": value}) == value


def test_process_lives_on_between_calls(process: FunctionProcess, lines: list[str]) -> None:
    pids = {process.call({"do": "tell"})["pid"] for _ in range(3)}

    assert len(pids) == 1
    within(5, lambda: lines == ["sender loaded\n"])


def test_handler_is_told_who_it_is_and_how_long_it_may_take(process: FunctionProcess) -> None:
    told = process.call({"do": "tell"})

    assert told["name"] == told["variable"] == "vestnik-sender"
    assert told["arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:vestnik-sender"
    assert (told["group"], told["memory"]) == ("/aws/lambda/vestnik-sender", "1024")
    assert 29_000 < told["left"] <= 30_000, "the template's timeout"


def test_lines_are_taken_whole_and_with_their_function(process: FunctionProcess, lines: list[str]) -> None:
    process.call({"do": "say", "value": "ж" * 10_000})

    within(5, lambda: lines[1:] == [f"sender {'ж' * 10_000}\n"])


def test_large_events_pass(process: FunctionProcess) -> None:
    value = "x" * 3_000_000

    assert process.call({"do": "return", "value": value}) == value


def test_failed_handler_is_said_with_its_traceback_and_called_again(process: FunctionProcess, lines: list[str]) -> None:
    pid = process.call({"do": "tell"})["pid"]
    with pytest.raises(CallError, match=r"^ValueError: wrong$"):
        process.call({"do": "raise"})

    assert process.call({"do": "tell"})["pid"] == pid
    within(5, lambda: any('"exception_name":"ValueError"' in line for line in lines))


def test_call_that_overruns_is_killed_and_the_next_has_a_process_of_its_own(lines: list[str]) -> None:
    process = FunctionProcess(function(timeout_seconds=2), lambda _, line: lines.append(line.decode()))
    first = process.call({"do": "tell"})["pid"]
    began = time.monotonic()
    with pytest.raises(CallError, match=r"^took longer than 2 s$"):
        process.call({"do": "sleep", "seconds": 60})
    assert time.monotonic() - began < 10
    assert not is_there(first)

    second = process.call({"do": "tell"})["pid"]
    process.end()

    assert second != first
    assert not is_there(second)


@pytest.mark.parametrize(
    ("how", "said"), [("die", "its process was killed by SIGKILL"), ("exit", "its process ended with 3")]
)
def test_process_that_dies_in_a_call_is_started_again_by_the_next(
    process: FunctionProcess, how: str, said: str
) -> None:
    with pytest.raises(CallError, match=said):
        process.call({"do": how})

    assert process.call({"do": "return", "value": 1}) == 1


def test_process_that_died_between_calls_fails_one_call(process: FunctionProcess) -> None:
    os.kill(process.call({"do": "tell"})["pid"], signal.SIGKILL)

    with pytest.raises(CallError, match="SIGKILL"):
        process.call({"do": "return", "value": 1})
    assert process.call({"do": "return", "value": 1}) == 1


def test_function_that_cannot_be_loaded_fails_call_by_call(tmp_path: Path, process: FunctionProcess) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('no')")

    for _ in range(2):
        with pytest.raises(CallError, match="its process ended with 1"):
            process.call({"do": "tell"})


def test_signals_to_stop_are_left_to_the_supervisor(process: FunctionProcess) -> None:
    pid = process.call({"do": "tell"})["pid"]
    process.call({"do": "signal"})

    assert process.call({"do": "tell"})["pid"] == pid


def test_process_ends_with_its_supervisor_whatever_it_is_about(tmp_path: Path) -> None:
    program = tmp_path / "supervisor.py"
    program.write_text(SUPERVISOR)
    with subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        said = [supervisor.stdout.readline().decode() for _ in range(2)]
        pid = int(next(line for line in said if line.strip().isdigit()))
        assert is_there(pid)
        supervisor.kill()

    within(5, lambda: not is_there(pid))
