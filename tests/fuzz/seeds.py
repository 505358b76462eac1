"""What is there before a run: clients, mailings of every state, messages of every outcome, a dead letter."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.steps import control, counts_until, create_mailing, finished, load_clients, planned, rows, send
from tests.running_stack import RunningStack, poll

CLIENTS = 5
TAG = "seed"
ZONE_HOURS = 5  # of Asia/Yekaterinburg, where these clients live

Examples = Mapping[str, Sequence[Mapping[str, Any]]]


def sow(stack: RunningStack) -> Examples:
    """Fill a stack; tells, by operation id, with what parts of the path an operation can succeed."""
    clients = load_clients(stack, CLIENTS, TAG)
    send(stack, "send", {"v": 0})
    failed = _failed(stack)
    sent = _sent(stack)
    running = _waiting(stack)
    paused = _waiting(stack)
    control(stack, paused, "pause")
    cancelled = _waiting(stack)
    control(stack, cancelled, "cancel")
    draft = _coming(stack, draft=True)
    scheduled = _coming(stack)
    counts_until(stack, cancelled, "cancelled", at_least=CLIENTS)
    poll(lambda: _dead_letters(stack), until=bool, deadline_seconds=30)
    messages = [rows(stack, mailing)[0]["id"] for mailing in (failed, sent, running, paused, cancelled)]
    mailings = [failed, sent, running, paused, cancelled, draft, scheduled]
    return {
        **dict.fromkeys(("get_client", "list_client_messages"), _each("client_id", clients[:2])),
        "delete_client": _each("client_id", clients[-1:]),
        **dict.fromkeys(("get_mailing", "read_mailing_stats", "list_mailing_messages"), _each("mailing_id", mailings)),
        "start_mailing": _each("mailing_id", [draft]),
        "pause_mailing": _each("mailing_id", [running]),
        "resume_mailing": _each("mailing_id", [paused]),
        "cancel_mailing": _each("mailing_id", [scheduled]),
        "retry_mailing": _each("mailing_id", [failed]),
        **dict.fromkeys(("get_message", "explain_message"), _each("message_id", messages)),
    }


def _each(name: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    return [{name: value} for value in values]


def _failed(stack: RunningStack) -> str:
    stack.control(status=400)
    mailing = create_mailing(stack, TAG)
    finished(stack, mailing)
    stack.control()
    return mailing


def _sent(stack: RunningStack) -> str:
    mailing = create_mailing(stack, TAG)
    finished(stack, mailing)
    return mailing


def _waiting(stack: RunningStack) -> str:
    """Create a mailing that runs for as long as a fuzz does: its clients' window opens in six hours."""
    there = datetime.now(UTC) + timedelta(hours=ZONE_HOURS)
    opens, closes = (f"{there + timedelta(hours=hours):%H:%M}" for hours in (6, 8))
    end_at = datetime.now(UTC) + timedelta(hours=20)
    mailing = create_mailing(stack, TAG, end_at=end_at, window={"from": opens, "to": closes})
    planned(stack, mailing)
    return mailing


def _coming(stack: RunningStack, *, draft: bool = False) -> str:
    start_at = datetime.now(UTC) + timedelta(days=1)
    return create_mailing(stack, TAG, start_at=start_at, end_at=start_at + timedelta(days=1), draft=draft)


def _dead_letters(stack: RunningStack) -> list[Any]:
    letters: list[Any] = stack.request("GET", "/dead-letters").json()["items"]
    return letters
