"""What the pages show in tests: made once, through the API, on a stack of its own or a shared one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.e2e.steps import (
    control,
    counts_until,
    create_mailing,
    finished,
    load_clients,
    planned,
    rows,
    send,
    take,
)
from tests.running_stack import TIMEOUT_SECONDS, RunningStack, poll

# Long, without a blank to break at, and with what a careless page would run.
TEXT = "<b>Autumn</b> sale: 20 % off until Sunday <script>alert(1)</script> https://shop.example/" + "autumn-sale/" * 9
TAG = "autumn sale <i>& more"
PHONES = ("79995550001", "79995550002", "79995550003")


@contextmanager
def samples(stack: RunningStack) -> Iterator[Mapping[str, str]]:
    """Make one of each; yield ids and phones by the names that addresses of examples have for them."""
    made: dict[str, str] = {}
    try:
        made |= _audience(stack)
        made |= _mailings(stack)
        made |= _imports(stack)
        made |= _suppressions(stack)
        made |= _dead_letters(stack, made)
        yield made
    finally:
        stack.control()
        for name in {"running", "paused", "scheduled"} & made.keys():
            control(stack, made[name], "cancel")
        while take(stack, "send-dlq"):
            pass


def _audience(stack: RunningStack) -> dict[str, str]:
    """Half of the clients are where it is another time of the day."""
    here = load_clients(stack, 12, TAG, timezone="UTC")
    load_clients(stack, 12, TAG, timezone="+12:00")
    return {"client": here[0], "client_phone": _client(stack, here[0])["phone"]}


def _mailings(stack: RunningStack) -> dict[str, str]:
    now = datetime.now(UTC)
    later = now + timedelta(hours=20)
    hours = {"from": f"{now - timedelta(hours=3):%H:%M}", "to": f"{now + timedelta(hours=3):%H:%M}"}
    made = {
        "draft": create_mailing(stack, TAG, end_at=later, text=TEXT, draft=True),
        "scheduled": create_mailing(stack, TAG, start_at=now + timedelta(hours=9), end_at=later, text="Good morning"),
        "empty": create_mailing(stack, "nobody", text="To nobody at all"),
    }
    stack.control(status=422, error_rate=0.4, seed=1, body={"code": 17, "message": "no such <number>"})
    made["finished"] = create_mailing(stack, TAG, text="Пользовались ли Вы нашей доставкой? " * 5)
    finished(stack, made["finished"])
    stack.control()
    for name in ("running", "paused"):
        made[name] = create_mailing(stack, TAG, end_at=later, window=hours, text=f"{TEXT} ({name})")
        planned(stack, made[name])
        counts_until(stack, made[name], "sent", at_least=12)
        counts_until(stack, made[name], "deferred", at_least=12)
    control(stack, made["paused"], "pause")
    failed = next(row for row in rows(stack, made["finished"]) if row["status"] == "failed")
    waiting = next(row for row in rows(stack, made["running"]) if row["status"] == "deferred")
    return made | {"failed_message": str(failed["id"]), "waiting_message": str(waiting["id"])}


def _imports(stack: RunningStack) -> dict[str, str]:
    bad = ["7916,Europe/Moscow,", "79995550009,Mars/Base,", "79995550010,UTC,9x9", "79995550011"]
    return {
        "client_import": _imported(stack, "clients", ["phone,timezone,operator_code", "79995550008,UTC,999", *bad]),
        "suppression_import": _imported(stack, "suppressions", ["phone", PHONES[2], "7916"]),
        "waiting_import": _begun(stack, "clients")["id"],
    }


def _suppressions(stack: RunningStack) -> dict[str, str]:
    (out,) = load_clients(stack, 1, "left")
    phone = _client(stack, out)["phone"]
    for each in (phone, *PHONES[:2]):
        assert stack.request("POST", "/suppressions", {"phone": each}).status_code == 201
    return {"opted_out": out, "suppressed_phone": phone}


def _dead_letters(stack: RunningStack, made: Mapping[str, str]) -> dict[str, str]:
    ids = [row["id"] for row in rows(stack, made["finished"])]
    send(stack, "send-dlq", {"v": 1, "mailing_id": made["finished"], "message_ids": ids[:8]})
    for garbage in ("call me", "now"):
        stack.client("sqs").send_message(QueueUrl=stack.queue_url("send"), MessageBody=garbage)
    letters = poll(
        lambda: stack.request("GET", "/dead-letters").json()["items"],
        until=lambda items: len(items) >= 3,
        deadline_seconds=60,
    )
    return {"letter": next(letter["id"] for letter in letters if letter["mailing_id"] is None)}


def _client(stack: RunningStack, client_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = stack.request("GET", f"/clients/{client_id}").json()
    return shown


def _begun(stack: RunningStack, kind: str) -> dict[str, Any]:
    created: dict[str, Any] = stack.request("POST", f"/{kind}/imports").json()
    return created


def _imported(stack: RunningStack, kind: str, lines: list[str]) -> str:
    created = _begun(stack, kind)
    form, import_id = created["upload"], str(created["id"])
    file = {"file": ("rows.csv", "\n".join(lines).encode(), "text/csv")}
    requests.post(form["url"], data=form["fields"], files=file, timeout=TIMEOUT_SECONDS).raise_for_status()
    poll(
        lambda: stack.request("GET", f"/{kind}/imports/{import_id}").json()["status"],
        until=lambda status: status == "finished",
        deadline_seconds=60,
    )
    return import_id
