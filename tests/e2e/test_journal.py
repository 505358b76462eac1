"""`make logs` on the packaged functions: what became of one message, told by those who had to do with it."""

import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import journal
from tests.running_stack import RunningStack, poll

PHONE, TEXT = "79169990001", "A text that is nobody else's business"
REFUSALS = 3


@pytest.fixture
def stack_file(stack: RunningStack, tmp_path: Path) -> Path:
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(asdict(stack.info)))
    return file


def test_story_of_a_message_that_the_provider_refused_at_first(stack: RunningStack, stack_file: Path) -> None:
    client_id = _created(stack, "/clients", {"phone": PHONE, "tag": "journal", "timezone": "UTC"})
    stack.forget_received()
    stack.control(status=503, retry_after=2)  # so there is time to be well again before the next request
    mailing_id = _create_mailing(stack)
    poll(lambda: stack.received(limit=0)["requests"], until=lambda seen: seen >= REFUSALS, deadline_seconds=60)
    stack.control()
    message_id = poll(lambda: _sent_id(stack, mailing_id), until=lambda id_: id_ is not None, deadline_seconds=60)

    of_message = poll(
        lambda: _told(stack_file, "--message", str(message_id)),
        until=lambda lines: all(any(end in line for line in lines) for end in ("status=sent", "mailing finished")),
        deadline_seconds=60,
    )

    requests = [line for line in of_message if _event(line) == ("sender", "message requested")]
    milestones = [line for line in of_message if line not in requests]
    assert [_event(line)[1] for line in milestones] == [
        "mailing created",
        "mailing started",
        "mailing planned",
        "mailing finished",
    ]
    assert of_message[:2] == milestones[:2]
    assert of_message[-1] == milestones[-1]
    assert [_event(line)[0] for line in milestones[:2]] == ["api", "planner"]
    assert of_message == sorted(of_message), "each begins with its time"
    assert len(requests) > REFUSALS
    answers = [(503, "busy", "deferred")] * (len(requests) - 1) + [(200, "accepted", "sent")]
    for number, (line, (status, answer, then)) in enumerate(zip(requests, answers, strict=True), start=1):
        assert f"message_id={message_id} client_id={client_id}" in line
        assert f"answer={answer} http_status={status}" in line
        assert f"attempts={number} status={then}" in line

    of_mailing, of_client = _told(stack_file, "--mailing", mailing_id), _told(stack_file, "--client", client_id)
    assert set(map(_without_columns, of_message)) <= set(map(_without_columns, of_mailing))
    assert ("api", "client created") in map(_event, of_client)
    assert [_event(line) for line in of_client].count(("sender", "message requested")) == len(requests)

    everything = "\n".join(
        [*of_message, *of_mailing, *of_client, *_told(stack_file, "--mailing", mailing_id, "--json")]
    )
    assert PHONE[-4:] in everything
    for secret in (PHONE, PHONE[1:], TEXT, stack.token):
        assert secret not in everything


def _create_mailing(stack: RunningStack) -> str:
    now = datetime.now(UTC)
    times = {"start_at": now.isoformat(), "end_at": (now + timedelta(hours=1)).isoformat()}
    return _created(stack, "/mailings", times | {"text": TEXT, "filter": {"tags": ["journal"]}})


def _created(stack: RunningStack, path: str, body: object) -> str:
    answer = stack.request("POST", path, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _sent_id(stack: RunningStack, mailing_id: str) -> int | None:
    rows = stack.request("GET", f"/mailings/{mailing_id}/messages?status=sent").json()["items"]
    return int(rows[0]["id"]) if rows else None


def _told(stack_file: Path, *arguments: str) -> list[str]:
    command = [sys.executable, journal.__file__, *arguments, "--stack", str(stack_file)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0 or "no line of that time" in told.stderr, told.stderr
    return told.stdout.splitlines()


def _event(line: str) -> tuple[str, ...]:
    """Return function and message of a shown line."""
    _, function, message, *_ = (part for part in line.split("  ") if part)
    return function.strip(), message.strip()


def _without_columns(line: str) -> str:
    return " ".join(line.split())
