"""Opting out, preview and tests, on the packaged functions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    counts_until,
    create_mailing,
    finished,
    load_clients,
    phones,
    rows,
    statistics_of,
)
from tests.running_stack import RunningStack, poll

CROWD = 60
LEAVE = 10
EFFECTIVE = timedelta(seconds=5)


@pytest.fixture(scope="module")
def stack(start_stack: StartStack) -> RunningStack:
    """A stack that sends slowly, at a price."""
    return start_stack(
        emulator={"AUTH": "true"},
        settings={"PROVIDER_MAX_PER_SECOND": "2", "SMS_PART_PRICE": "0.35", "CURRENCY": "EUR"},
        parameters={"ExpressConcurrency": "2"},
    )


@pytest.fixture(autouse=True)
def received(stack: RunningStack) -> Iterator[None]:
    stack.forget_received()
    yield
    stack.control()


def requests_to(stack: RunningStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.received(limit=100_000)["last"]
    return found


def suppress(stack: RunningStack, phone: str) -> None:
    answer = stack.request("POST", "/suppressions", {"phone": phone})
    assert answer.status_code == 201, answer.text


def preview(stack: RunningStack, tag: str, **fields: object) -> dict[str, Any]:
    now = datetime.now(UTC)
    body = {"start_at": now.isoformat(), "end_at": (now + timedelta(hours=1)).isoformat(), "text": "Hello"}
    answer = stack.request("POST", "/mailings/preview", {**body, "filter": {"tags": [tag]}, **fields})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def phone_of(stack: RunningStack, client_id: str) -> str:
    return str(stack.request("GET", f"/clients/{client_id}").json()["phone"])


def test_who_opts_out_of_a_mailing_that_runs_gets_no_request_that_begins_later(stack: RunningStack) -> None:
    ids = load_clients(stack, CROWD, "leaving")
    mailing_id = create_mailing(stack, "leaving")
    counts_until(stack, mailing_id, "sent", at_least=5)
    still_open = {row["client_id"] for row in rows(stack, mailing_id) if row["status"] in {"queued", "deferred"}}
    gone = {phone_of(stack, client_id): client_id for client_id in sorted(still_open)[-LEAVE:]}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda phone: suppress(stack, phone), gone))
    suppressed_at = datetime.now(UTC)

    statistics = finished(stack, mailing_id)

    late = [
        each
        for each in requests_to(stack)
        if str(each["phone"]) in gone and datetime.fromisoformat(each["started_at"]) > suppressed_at + EFFECTIVE
    ]
    assert late == []
    cancelled = {row["client_id"] for row in rows(stack, mailing_id) if row["reason"] == "suppressed"}
    assert cancelled <= set(gone.values())
    assert cancelled, "all were sent before anybody opted out"
    assert statistics["reasons"]["cancelled"] == {"suppressed": len(cancelled)}
    assert statistics["messages"]["sent"] == CROWD - len(cancelled)
    assert_counters_equal_recount(stack, mailing_id)
    assert len(ids) == len(rows(stack, mailing_id))

    told = preview(stack, "leaving")
    assert (told["audience"], told["suppressed"]) == (CROWD - len(gone), len(gone))


def test_a_preview_is_what_is_planned(stack: RunningStack) -> None:
    ids = load_clients(stack, 6, "previewed", timezone="Asia/Tokyo")
    moved, leaves, deleted, *_ = ids
    suppress(stack, phone_of(stack, leaves))
    nobodys = next(phones)
    suppress(stack, nobodys)
    created = stack.request("POST", "/clients", {"phone": nobodys, "tag": "previewed", "timezone": "Asia/Tokyo"})
    assert created.status_code == 201
    assert stack.request("PATCH", f"/clients/{moved}", {"timezone": "Europe/Moscow"}).status_code == 200
    assert stack.request("DELETE", f"/clients/{deleted}").status_code == 204

    told = preview(stack, "previewed", text="Я" * 71)

    assert (told["audience"], told["suppressed"], told["estimated"]) == (4, 2, False)
    assert told["by_timezone"] == {
        "Asia/Tokyo": 3,
        "Europe/Moscow": 1,
    }
    assert (told["sms_parts"], told["reachable"], told["unreachable"]) == (2, 4, 0)
    assert (told["cost"], told["currency"]) == ("2.80", "EUR")

    mailing_id = create_mailing(stack, "previewed")
    assert finished(stack, mailing_id)["messages"]["total"] == told["audience"]
    assert {row["client_id"] for row in rows(stack, mailing_id)} == set(ids) - {leaves, deleted}

    assert stack.request("DELETE", f"/suppressions/{nobodys}").status_code == 204
    assert stack.request("DELETE", f"/suppressions/{nobodys}").status_code == 404
    assert preview(stack, "previewed")["audience"] == 5


def test_a_test_of_a_draft_arrives(stack: RunningStack) -> None:
    first, second = load_clients(stack, 2, "tested")
    suppress(stack, phone_of(stack, second))
    now = datetime.now(UTC)
    closed = {"from": f"{now + timedelta(hours=10):%H}:00", "to": f"{now + timedelta(hours=11):%H}:00"}
    draft = create_mailing(stack, "tested", draft=True, text="How does it look?", window=closed)

    answer = stack.request("POST", f"/mailings/{draft}/test", {"client_id": first})

    assert answer.status_code == 202, answer.text
    message_id = answer.json()["id"]
    shown = poll(
        lambda: stack.request("GET", f"/messages/{message_id}").json(),
        until=lambda message: message["status"] == "sent",
        deadline_seconds=30,
    )
    (request,) = requests_to(stack)
    assert (request["id"], request["text"], str(request["phone"])) == (
        message_id,
        "How does it look?",
        phone_of(stack, first),
    )
    assert stack.request("GET", f"/mailings/{draft}").json()["status"] == "draft"
    assert shown["mailing_id"] not in {
        each["id"] for each in stack.request("GET", "/mailings?limit=500").json()["items"]
    }
    assert finished(stack, shown["mailing_id"])["messages"]["sent"] == 1
    assert statistics_of(stack, draft)["messages"]["total"] == 0
    assert stack.request("POST", f"/mailings/{draft}/test", {"client_id": second}).status_code == 409
