"""One id from the API call through tickets to the provider, in the lines of every function."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import journal
from bundle import make_bundle
from chalicelib.adapters.function_logs import CloudWatchFunctionLogs
from chalicelib.domain.journal import Subject
from chalicelib.services.read_journal import ReadJournal
from tests.e2e.conftest import StartStack
from tests.e2e.steps import drained, finished, load_clients
from tests.log_leaks import logs_of
from tests.merged_template import of_type
from tests.running_stack import RunningStack, poll

CLIENTS = 60


@pytest.fixture(scope="module")
def large(start_stack: StartStack) -> RunningStack:
    """Start a stack to which each mailing is large: it goes by plan tickets and the send queue."""
    stack = start_stack(emulator={"AUTH": "true"}, settings={"EXPRESS_MAX_CLIENTS": "0", "PLAN_SEGMENTS": "2"})
    load_clients(stack, CLIENTS, "correlated")
    return stack


def post_mailing(stack: RunningStack, request_id: str) -> str:
    now = datetime.now(UTC)
    times = {"start_at": now.isoformat(), "end_at": (now + timedelta(hours=1)).isoformat()}
    body = times | {"text": "Correlated", "filter": {"tags": ["correlated"]}}
    answer = stack.request("POST", "/mailings", body, headers={"X-Request-Id": request_id})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (201, request_id)
    return str(answer.json()["id"])


def lines_of(stack: RunningStack, subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Read the lines that name a subject, by function; requests of the test's own that only read are left out."""
    logs = CloudWatchFunctionLogs(stack.client("logs"), stack.info.stack_name)
    read = ReadJournal(logs, lambda: datetime.now(UTC))
    found = defaultdict(list)
    for line in read(subject, datetime.now(UTC) - timedelta(hours=1)).lines:
        found[line.function].append(dict(line.fields))
    return found


def told_by(stack: RunningStack, subject: Subject, functions: set[str], message: str) -> dict[str, Any]:
    """Wait until functions have logged, the last of them this message: what they say may appear late."""
    return poll(
        lambda: lines_of(stack, subject),
        until=lambda found: (
            functions <= found.keys() and message in {line["message"] for lines in found.values() for line in lines}
        ),
        deadline_seconds=60,
    )


def ids_in(line: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(line.get("correlation_ids", [line.get("correlation_id")]))


def test_each_line_about_a_mailing_and_each_request_has_the_id_of_the_call_that_made_it(large: RunningStack) -> None:
    large.forget_received()
    mailing_id = post_mailing(large, "abc")
    assert finished(large, mailing_id)["messages"]["sent"] == CLIENTS
    drained(large)

    told = told_by(
        large, Subject("mailing", mailing_id), {"api", "planner", "plan-segment", "sender"}, "mailing finished"
    )

    without = [(function, line) for function, lines in told.items() for line in lines if ids_in(line) != ("abc",)]
    assert without == []
    assert sum(line["message"] == "message requested" for line in told["sender"]) == CLIENTS
    assert {one["request_id"] for one in large.received(limit=CLIENTS)["last"]} == {"abc"}


def test_a_later_call_gives_its_own_id_to_all_that_follows(large: RunningStack) -> None:
    large.control(latency_ms=2000)
    mailing_id = post_mailing(large, "first")
    poll(lambda: large.received(limit=0)["in_flight"], until=lambda flying: flying > 0, deadline_seconds=60)
    for what in ("pause", "resume"):
        answer = large.request("POST", f"/mailings/{mailing_id}/{what}", headers={"X-Request-Id": f"then-{what}"})
        assert answer.status_code == 200, answer.text
    large.control()
    finished(large, mailing_id)
    drained(large)

    told = told_by(large, Subject("mailing", mailing_id), {"plan-segment"}, "mailing finished")

    ids = {line["correlation_id"] for line in told["plan-segment"] if line["message"] == "segment done"}
    assert ids == {"first", "then-pause", "then-resume"}
    assert {
        line["correlation_id"] for lines in told.values() for line in lines if line["message"] == "mailing finished"
    } == {"then-resume"}


def test_messages_that_are_put_off_keep_the_id(large: RunningStack) -> None:
    large.control(status=503, retry_after=1)
    mailing_id = post_mailing(large, "put-off")
    poll(lambda: large.received(limit=0)["requests"], until=lambda seen: seen > 0, deadline_seconds=60)
    large.control()
    finished(large, mailing_id)

    told = told_by(large, Subject("mailing", mailing_id), {"sender"}, "mailing finished")

    assert {ids_in(line) for line in told["sender"]} == {("put-off",)}


def test_make_logs_finds_all_that_came_of_a_request(large: RunningStack, tmp_path: Path) -> None:
    mailing_id = post_mailing(large, "by-request-1")
    finished(large, mailing_id)
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(asdict(large.info)))
    command = [sys.executable, journal.__file__, "--request", "by-request-1", "--stack", str(file)]

    def told() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def functions_in(text: str) -> set[str]:
        return {line.split()[2] for line in text.splitlines()}

    functions = {"api", "planner", "plan-segment", "sender"}  # each sends its lines in its own time
    shown = poll(
        told, until=lambda text: functions <= functions_in(text) and "mailing finished" in text, deadline_seconds=60
    )

    assert "POST" in shown
    assert "correlation_id=by-request-1" in shown


def test_saved_queries_name_fields_that_lines_have(large: RunningStack) -> None:
    large.control(status=400, error_rate=0.5, seed=1)
    finished(large, post_mailing(large, "queried"))
    large.control()
    had: set[str] = set()
    for lines in logs_of(large).values():
        for line in lines:
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            had |= fields.keys() if isinstance(fields, dict) else set()

    for name, query in saved_queries().items():
        assert fields_of(query) - had == set(), name


def saved_queries() -> dict[str, str]:
    template = json.loads(make_bundle().template.read_text())
    queries = of_type(template, "AWS::Logs::QueryDefinition")
    return {name: query["QueryString"] for name, query in queries.items()}


def fields_of(query: str) -> set[str]:
    """Name the fields that a query reads: all of its words but commands, functions, texts and names that it gives."""
    bare = re.sub(r'"[^"]*"', " ", query)
    given = set(re.findall(r"\bas (\w+)", bare))
    functions = set(re.findall(r"(\w+)\(", bare))
    words = set(re.findall(r"(?<![@\w])[a-z]\w*", bare))
    grammar = {"fields", "filter", "sort", "limit", "stats", "like", "and", "or", "as", "by", "asc", "desc"}
    return words - given - functions - grammar
