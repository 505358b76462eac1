"""`make repair` by its command line: what it asks of the function, and what it says of each answer."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import repair
from probe import free_port
from tests.emulator import AWS_VARIABLES
from tests.raw_server import raw_server, read_request

ROOT = Path(__file__).parents[2]
MAILING = "01M83JE3427E3MCK0QZRJNQ9ET"
DRIFTING = [
    {"counter": "attempts", "rows": 210, "counted": 210, "difference": 0},
    {"counter": "sent", "rows": 210, "counted": 1207, "difference": 997},
]
RIGHT = [DRIFTING[0], DRIFTING[1] | {"counted": 210, "difference": 0}]
TABLE = [
    "counter   rows  counted  difference",
    "attempts   210      210           0",
    "sent       210     1207         997",
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring back what the shell says of AWS after each test: whoever looks at the embedded stack forgets it."""
    for name in AWS_VARIABLES & os.environ.keys():
        monkeypatch.setenv(name, os.environ[name])


def found(verdict: str, counters: Sequence[object] = (), detail: str = "", after: object = None) -> dict[str, object]:
    return {"mailing_id": MAILING, "verdict": verdict, "detail": detail, "counters": list(counters), "after": after}


@contextmanager
def function(
    answer: object, tmp_path: Path, *, status: int = 200, headers: str = ""
) -> Iterator[tuple[Path, list[tuple[str, Any]]]]:
    """Play a stack whose function answers so; yields the stack's file, and what was asked: path and payload."""
    asked: list[tuple[str, Any]] = []

    def invoke(connection: socket.socket) -> None:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        asked.append((head.split()[1].decode(), json.loads(body)))
        content = json.dumps(answer).encode()
        lines = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
        connection.sendall(lines.encode() + content)

    with raw_server(invoke) as server:
        file = tmp_path / "stack.json"
        file.write_text(json.dumps({"aws_endpoint_url": server.url, "stack_name": "mine"}))
        yield file, asked


@pytest.mark.parametrize(("options", "repairs"), [([], True), (["--dry-run"], False)])
def test_function_of_the_stack_is_asked_once(tmp_path: Path, options: Sequence[str], *, repairs: bool) -> None:
    with function(found("right", RIGHT), tmp_path) as (file, asked):
        assert repair.main(["--mailing", MAILING, *options, "--stack", str(file)]) == 0
    assert asked == [("/2015-03-31/functions/mine-drift-check/invocations", {"mailing_id": MAILING, "repair": repairs})]


def test_drift_is_shown_counter_by_counter_and_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with function(found("drift", DRIFTING, after=found("right", RIGHT)), tmp_path) as (file, _):
        assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [*TABLE, "repaired: the counters say what the rows do"]
    assert said.err == ""


@pytest.mark.parametrize(
    ("answer", "status", "out", "err"),
    [
        (found("right"), 0, "no drift", ""),
        (found("drift", DRIFTING, after=found("busy", detail="it moves")), 0, "not seen to be right: it moves", ""),
        (found("drift", DRIFTING, after=found("drift", DRIFTING)), 1, "", "drift again"),
        (found("busy", detail="it moves"), 1, "", "make repair: busy, nothing was changed: it moves; try again later"),
        (found("unchecked", detail="too old"), 1, "", "make repair: not checked, nothing was changed: too old"),
        ({"error": "there is no such mailing"}, 1, "", "make repair: there is no such mailing"),
    ],
)
def test_each_answer_is_said_in_words(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answer: dict[str, object],
    status: int,
    out: str,
    err: str,
) -> None:
    with function(answer, tmp_path) as (file, _):
        assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == status
    said = capsys.readouterr()
    assert out in said.out
    assert err in said.err
    assert bool(said.err) == bool(err)


def test_dry_run_says_that_counters_still_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with function(found("drift", DRIFTING), tmp_path) as (file, _):
        assert repair.main(["--mailing", MAILING, "--dry-run", "--stack", str(file)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == TABLE
    assert "nothing was changed" in said.err


def test_failed_function_is_said_to_have_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timeout = {"errorMessage": "Task timed out after 900.00 seconds"}
    with function(timeout, tmp_path, headers="X-Amz-Function-Error: Unhandled\r\n") as (file, _):
        assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == 1
    assert "mine-drift-check failed: Task timed out" in capsys.readouterr().err


def test_stack_without_the_function_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = "X-Amzn-ErrorType: ResourceNotFoundException\r\n"
    with function({"Message": "Function not found"}, tmp_path, status=404, headers=missing) as (file, _):
        assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == 1
    assert "there is no function mine-drift-check in us-east-1 at http://127.0.0.1:" in capsys.readouterr().err


def test_embedded_stack_that_is_not_up_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stack.json"

    assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == 1
    assert "start the stack with: make up" in capsys.readouterr().err

    file.write_text(json.dumps({"aws_endpoint_url": f"http://127.0.0.1:{free_port()}", "stack_name": "gone"}))
    assert repair.main(["--mailing", MAILING, "--stack", str(file)]) == 1
    assert "is the stack up? `make up` starts it" in capsys.readouterr().err


def test_missing_mailing_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        repair.main([])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: make repair MAILING=ID")
    assert "the following arguments are required: --mailing" in said


def test_make_hands_its_variables_on() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "repair", f"MAILING={MAILING}", "DRY_RUN=1", "STAGE=live"]
    dry = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    handed = " ".join(re.sub(r"\\\n", " ", dry.stdout).split())
    assert handed.endswith(f"repair.py --mailing '{MAILING}' --dry-run --stage 'live'")
