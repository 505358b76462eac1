"""`make logs` by its command line, on the emulator's CloudWatch Logs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

import journal
from chalicelib.domain.journal import FUNCTIONS
from probe import free_port
from tests.emulator import AWS_VARIABLES, running_emulator

AwsClient = Any  # boto3's clients are made at run time
ROOT = Path(__file__).parents[2]
MAILING, OTHER_MAILING = "01M83JE3427E3MCK0QZRJNQ9ET", "01M83JE3427E3MCK0QZRJNQ9EV"
CLIENT = "01M83JE3427E3MCK0QZRJNQ9C0"
MESSAGE = 123
ANSWER_LIMIT = 10_000  # events in one answer of filter_log_events

Journal = Callable[..., list[str]]
_stack_names = (f"stack{number}" for number in count())


@pytest.fixture(scope="module")
def logs() -> Iterator[AwsClient]:
    with running_emulator() as session:
        yield session.client("logs")


@pytest.fixture(autouse=True)
def environment(logs: AwsClient, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it sets what is kept
    """Bring back what the shell says of AWS after each test: whoever looks at the embedded stack forgets it."""
    for name in AWS_VARIABLES:
        monkeypatch.setenv(name, os.environ[name])


class Stack:
    """Log groups of a stack of a test's own, and what is put there: by default one second later than the last."""

    def __init__(self, logs: AwsClient) -> None:
        self.name = next(_stack_names)
        self.began = datetime.now(UTC) - timedelta(minutes=30)
        self._logs = logs
        self._seconds = count()

    def has(self, *functions: str) -> "Stack":
        for function in functions:
            self._logs.create_log_group(logGroupName=self._group(function))
        return self

    def says(
        self, function: str, message: str, *, at_seconds: float | None = None, stream: str = "one", **fields: object
    ) -> None:
        at = self.began + timedelta(seconds=next(self._seconds) if at_seconds is None else at_seconds)
        line = {"level": "INFO", "location": "__call__:80", "message": message, "timestamp": _rfc3339(at)}
        self.prints(function, json.dumps(line | {"service": "vestnik"} | fields, separators=(",", ":")), stream=stream)

    def prints(self, function: str, *texts: str, stream: str = "one", at: datetime | None = None) -> None:
        """Put texts as they are; they arrive a millisecond apart."""
        group = self._group(function)
        present = self._logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
        if not present:
            self._logs.create_log_stream(logGroupName=group, logStreamName=stream)
        first = int((at or datetime.now(UTC)).timestamp() * 1000)
        events = [{"timestamp": first + number, "message": text} for number, text in enumerate(texts)]
        self._logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def _group(self, function: str) -> str:
        return f"/aws/lambda/{self.name}-{function}"


@pytest.fixture
def stack(logs: AwsClient) -> Stack:
    return Stack(logs).has(*FUNCTIONS)


@pytest.fixture
def told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Journal:
    """Run the command on the test's stack; return what it printed, line by line."""

    def run(*arguments: str) -> list[str]:
        assert journal.main([*arguments, "--stack-name", stack.name]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_lines_are_in_the_order_of_time_over_functions_and_streams(stack: Stack, told: Journal) -> None:
    stack.says("sender", "third", at_seconds=3, stream="b", mailing_id=MAILING)
    stack.says("dispatcher", "fourth", at_seconds=4, mailing_id=MAILING)
    stack.says("sender", "second", at_seconds=2, stream="a", mailing_id=MAILING)
    stack.says("api", "first", at_seconds=1, mailing_id=MAILING)
    stack.says("sender", "fifth", at_seconds=5, stream="a", mailing_id=MAILING)

    lines = told("--mailing", MAILING)

    assert [line.split()[2:4] for line in lines] == [
        ["api", "first"],
        ["sender", "second"],
        ["sender", "third"],
        ["dispatcher", "fourth"],
        ["sender", "fifth"],
    ]


def test_line_shows_when_where_what_and_its_fields_but_no_noise(stack: Stack, told: Journal) -> None:
    stack.says("api", "short", correlation_id="3f", xray_trace_id="1-2", mailing_id=MAILING, reason=None)
    error = 'connect to "provider" failed\x1b[2J'
    stack.says("plan-segment", "it is longer", level="WARNING", mailing_id=MAILING, late=1.5, due=["a", 2], error=error)

    short, longer = told("--mailing", MAILING)

    first, second = (_shown_time(stack.began + timedelta(seconds=seconds)) for seconds in (0, 1))
    assert short == f"{first}  api           short                 correlation_id=3f mailing_id={MAILING}"
    assert longer == (
        f'{second}  plan-segment  WARNING it is longer  mailing_id={MAILING} late=1.5 due=["a",2] '
        r'error="connect to \"provider\" failed\u001b[2J"'
    )


def test_exception_is_shown_by_its_last_line(stack: Stack, told: Journal) -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 4\nZeroDivisionError: division by zero'
    frames = {"type": "ZeroDivisionError", "frames": []}
    stack.says("sender", "delivery failed", level="ERROR", message_id=MESSAGE, exception=trace, stack_trace=frames)

    (line,) = told("--message", str(MESSAGE))

    assert line.endswith(f'ERROR delivery failed  message_id={MESSAGE} exception="ZeroDivisionError: division by zero"')


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--mailing", MAILING], "mailing_id", MAILING),
        (["--mailing", MAILING], "mailing_ids", [OTHER_MAILING, MAILING]),
        (["--client", CLIENT], "client_id", CLIENT),
        (["--client", CLIENT], "client_ids", [CLIENT]),
        (["--message", str(MESSAGE)], "message_id", MESSAGE),
        (["--message", str(MESSAGE)], "message_id", str(MESSAGE)),
        (["--message", str(MESSAGE)], "message_ids", [7, MESSAGE]),
    ],
)
def test_line_belongs_to_an_id_in_its_field_or_its_list(
    stack: Stack, told: Journal, arguments: Sequence[str], field: str, value: object
) -> None:
    stack.prints("sender", json.dumps({"message": "here", field: value}))

    assert len(told(*arguments)) == 1


def test_id_within_another_value_does_not_count(stack: Stack, told: Journal) -> None:
    stack.says("sender", "of it", message_id=MESSAGE)
    stack.says("sender", "longer", message_id=int(f"9{MESSAGE}4"))
    stack.says("sender", "longer in a list", message_ids=[int(f"{MESSAGE}4")])
    stack.says("sender", "another field", sqs_message_id=str(MESSAGE), duration_ms=MESSAGE)
    stack.says("sender", "of another kind", client_id=str(MESSAGE), mailing_ids=[MESSAGE])
    stack.says("sender", f"message {MESSAGE} as text", message_ids=MESSAGE, message_id=None)

    (line,) = told("--message", str(MESSAGE))

    assert "of it" in line


def test_what_is_no_json_object_is_skipped(stack: Stack, told: Journal) -> None:
    stack.prints(
        "sender",
        f"START RequestId: {MAILING} Version: $LATEST",
        f'{{"mailing_id":"{MAILING}","message":"cut of',
        f'"{MAILING}"',
        f'["mailing_id","{MAILING}"]',
        f"Traceback of {MAILING}:\n  several lines\n",
        "[" * 100_000 + MAILING,
        f'{{"mailing_id":"{MAILING}"}}',
        f'{{"mailing_id":"{MAILING}","message":"good","timestamp":"yesterday"}}\n',
    )

    lines = told("--mailing", MAILING)

    assert [line.split()[2:] for line in lines] == [
        ["sender", f"mailing_id={MAILING}"],
        ["sender", "good", f"mailing_id={MAILING}"],
    ]


def test_none_of_many_lines_is_lost(stack: Stack, told: Journal) -> None:
    number = ANSWER_LIMIT + 2_500
    texts = [f'{{"message":"line {index}","mailing_id":"{MAILING}"}}' for index in range(number)]
    arrived = datetime.now(UTC) - timedelta(minutes=1)
    for first in range(0, number, 5_000):
        stack.prints("sender", *texts[first : first + 5_000], at=arrived + timedelta(milliseconds=first))

    assert told("--mailing", MAILING, "--json") == texts


def test_every_page_is_turned(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # The emulator knows no pages, as the next test shows; moto has them as AWS has.
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        stack = Stack(boto3.client("logs")).has("sender")
        for number in range(2):
            texts = [json.dumps({"message": "x", "client_id": CLIENT})] * (ANSWER_LIMIT - 1)
            stack.prints("sender", *texts, stream=f"{number}")

        assert journal.main(["--client", CLIENT, "--stack-name", stack.name, "--json"]) == 0

    assert len(capsys.readouterr().out.splitlines()) == 2 * (ANSWER_LIMIT - 1)


def test_emulator_answers_with_so_many_events_and_no_second_page(stack: Stack, logs: AwsClient) -> None:
    # When this fails, the emulator can turn pages, and StackLogs need not look again from the last event on.
    for _ in range(2):
        stack.prints("sender", *["x"] * (ANSWER_LIMIT - 1))

    answer = logs.filter_log_events(logGroupName=f"/aws/lambda/{stack.name}-sender")

    assert len(answer["events"]) == ANSWER_LIMIT
    assert "nextToken" not in answer


def test_story_of_a_message_has_the_milestones_of_its_mailing(stack: Stack, told: Journal) -> None:
    stack.says("api", "mailing created", mailing_id=MAILING)
    stack.says("api", "mailing created", mailing_id=OTHER_MAILING, like=MAILING)
    stack.says("planner", "mailing started", mailing_id=MAILING, segments=4)
    stack.says("plan-segment", "segment done", mailing_id=MAILING)
    stack.says("sender", "message requested", mailing_id=MAILING, message_id=MESSAGE)
    stack.says("sender", "message requested", mailing_id=MAILING, message_id=MESSAGE + 1)
    stack.says("sender", "mailing finished", mailing_id=MAILING)

    lines = told("--message", str(MESSAGE))

    assert [" ".join(line.split()[3:5]) for line in lines] == [
        "mailing created",
        "mailing started",
        "message requested",
        "mailing finished",
    ]
    assert all(f"mailing_id={MAILING}" in line for line in lines)


def test_requests_that_only_read_are_left_out_unless_they_fail_or_are_asked_for(stack: Stack, told: Journal) -> None:
    for method, status in (("POST", 201), ("GET", 200), ("GET", 503), ("PATCH", 200)):
        stack.says("api", "request answered", method=method, status=status, mailing_id=MAILING)

    lines, all_lines = told("--mailing", MAILING), told("--mailing", MAILING, "--reads")

    requests = re.compile(r"method=(\w+) status=(\d+)")
    assert [requests.findall(line) for line in lines] == [[("POST", "201")], [("GET", "503")], [("PATCH", "200")]]
    assert len(all_lines) == 4


def test_only_the_asked_period_is_told(stack: Stack, told: Journal) -> None:
    for hours, name in ((30, "long ago"), (3, "before"), (1, "lately")):
        text = json.dumps({"message": name, "client_id": CLIENT})
        stack.prints("api", text, stream=f"of {hours} h", at=datetime.now(UTC) - timedelta(hours=hours))

    told_by_period = {period: len(told("--client", CLIENT, "--since", period)) for period in ("90m", "2h", "2d")}

    assert told_by_period == {"90m": 1, "2h": 1, "2d": 3}
    assert len(told("--client", CLIENT)) == 2, "24 h by default"


def test_missing_log_group_is_as_good_as_an_empty_one(logs: AwsClient, capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack(logs).has("sender")
    stack.says("sender", "here", mailing_id=MAILING)

    assert journal.main(["--mailing", MAILING, "--stack-name", stack.name]) == 0
    assert "here" in capsys.readouterr().out


def test_nothing_found_says_so_with_the_way_out(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal.main(["--message", str(MESSAGE), "--stack-name", stack.name]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert f"names the message {MESSAGE}" in said.err
    assert "SINCE=7d" in said.err
    assert f"GET /messages/{MESSAGE}" in said.err


def test_unknown_stack_is_named(logs: AwsClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal.main(["--message", str(MESSAGE), "--stack-name", "nobodys"]) == 1

    said = capsys.readouterr().err
    assert "/aws/lambda/nobodys-*" in said
    assert f"us-east-1 at {logs.meta.endpoint_url}" in said


def test_embedded_stack_is_found_by_its_file(
    stack: Stack, logs: AwsClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.says("sender", "here", mailing_id=MAILING)
    file = tmp_path / "stack.json"
    file.write_text(json.dumps({"aws_endpoint_url": logs.meta.endpoint_url, "stack_name": stack.name}))

    assert journal.main(["--mailing", MAILING, "--stack", str(file)]) == 0
    assert "here" in capsys.readouterr().out


def test_embedded_stack_that_is_not_up_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stack.json"

    assert journal.main(["--message", "1", "--stack", str(file)]) == 1
    assert "make up" in capsys.readouterr().err

    file.write_text(json.dumps({"aws_endpoint_url": f"http://127.0.0.1:{free_port()}", "stack_name": "gone"}))
    assert journal.main(["--message", "1", "--stack", str(file)]) == 1
    assert "make up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of the arguments --mailing --message --client --request is required"),
        (["--mailing", MAILING, "--message", "1"], "not allowed with argument --mailing"),
        (["--message", "x"], "'x' is not the id of a message"),
        (["--mailing", f'{MAILING}"'], "is not the id of a mailing"),
        (["--client", CLIENT.lower()], "is not the id of a client"),
        (["--request", "a b"], "'a b' is not the id of a request"),
        (["--client", CLIENT, "--since", "1w"], "'1w' is no period; write 30m, 2h or 7d"),
    ],
)
def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], complaint: str) -> None:
    with pytest.raises(SystemExit) as ended:
        journal.main(arguments)

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: make logs MAILING=ID | MESSAGE=ID | CLIENT=ID")
    assert complaint in said


def test_reader_who_has_enough_gets_no_traceback(stack: Stack) -> None:
    texts = [f'{{"message":"line {index}","mailing_id":"{MAILING}"}}' for index in range(3_000)]
    stack.prints("sender", *texts)
    command = [sys.executable, journal.__file__, "--mailing", MAILING, "--stack-name", stack.name, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        first = program.stdout.readline()
        program.stdout.close()
        said = program.stderr.read()

    assert first.startswith('{"message":"line 0"')
    assert (program.returncode, said) == (0, "")


def test_make_hands_its_variables_on() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "logs", f"MAILING={MAILING}", "SINCE=2h", "STAGE=live"]
    dry = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    handed = " ".join(dry.stdout.replace("\\\n", " ").split())
    assert handed.endswith(f"journal.py --mailing '{MAILING}' --since '2h' --stage 'live'")


def test_every_function_of_the_template_is_looked_at() -> None:
    template = (ROOT / "infra" / "template.yaml").read_text()

    assert set(FUNCTIONS) == set(re.findall(r"FunctionName: !Sub \$\{AWS::StackName\}-(\S+)", template))


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _shown_time(moment: datetime) -> str:
    return _rfc3339(moment).replace("T", " ").replace("+00:00", "Z")
