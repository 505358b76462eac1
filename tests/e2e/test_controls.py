"""The controls of mailings under load, on the packaged functions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.timezone import resolve_timezone
from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    change,
    control,
    counts_until,
    create_mailing,
    finished,
    load_clients,
    rows,
    statistics_of,
)
from tests.running_stack import RunningStack, poll

CROWD = 800
EFFECTIVE = timedelta(seconds=5)
ZONES = ("Pacific/Auckland", "Asia/Tokyo", "Asia/Yekaterinburg", "Europe/London", "America/New_York", "-11:00")


@pytest.fixture(scope="module")
def stack(start_stack: StartStack) -> RunningStack:
    """A stack on which a mailing of 800 is a large one, with one request at a time in each of few threads."""
    return start_stack(
        emulator={"AUTH": "true"},
        settings={"EXPRESS_MAX_CLIENTS": "100", "SENDER_THREADS": "8"},
        parameters={"SenderConcurrency": "3"},
    )


@pytest.fixture(scope="module")
def crowd(stack: RunningStack) -> Sequence[str]:
    return load_clients(stack, CROWD, "crowd")


@pytest.fixture(autouse=True)
def provider_takes_a_tenth_of_a_second(stack: RunningStack) -> Iterator[None]:
    stack.control(latency_ms=100)
    stack.forget_received()
    yield
    stack.control()


def requests_to(stack: RunningStack) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = stack.received(limit=100_000)["last"]
    return received


def begun_after(stack: RunningStack, moment: datetime) -> list[dict[str, Any]]:
    return [each for each in requests_to(stack) if datetime.fromisoformat(each["started_at"]) > moment]


def swept(stack: RunningStack, mailing_id: str) -> dict[str, Any]:
    """Wait until the rows have followed the latest change."""
    return poll(
        lambda: statistics_of(stack, mailing_id),
        until=lambda statistics: statistics["sweep"]["done"] == statistics["sweep"]["segments"] > 0,
        deadline_seconds=60,
    )


def test_pause_holds_and_resume_repeats_nothing(stack: RunningStack, crowd: Sequence[str]) -> None:
    mailing_id = create_mailing(stack, "crowd", text="before")
    counts_until(stack, mailing_id, "sent", at_least=CROWD // 10)

    control(stack, mailing_id, "pause")
    paused_at = datetime.now(UTC)
    change(stack, mailing_id, text="after")
    statistics = swept(stack, mailing_id)

    assert begun_after(stack, paused_at + EFFECTIVE) == []
    assert statistics["mailing"]["status"] == "paused"
    sent = statistics["messages"]["sent"]
    assert CROWD // 10 <= sent < CROWD
    assert statistics["reasons"]["deferred"] == {"paused": CROWD - sent}
    assert stack.request("POST", f"/mailings/{mailing_id}/pause").status_code == 409

    control(stack, mailing_id, "resume")
    resumed_at = datetime.now(UTC)

    assert finished(stack, mailing_id)["messages"]["sent"] == CROWD
    assert Counter(row["client_id"] for row in rows(stack, mailing_id)) == Counter(crowd)
    assert stack.received(limit=0)["accepted_duplicates"] == 0
    assert {each["text"] for each in begun_after(stack, resumed_at)} == {"after"}
    assert {each["text"] for each in requests_to(stack)} == {"before", "after"}
    assert_counters_equal_recount(stack, mailing_id)


def test_cancel_ends_what_is_open(stack: RunningStack, crowd: Sequence[str]) -> None:
    mailing_id = create_mailing(stack, "crowd")
    counts_until(stack, mailing_id, "sent", at_least=CROWD // 10)

    control(stack, mailing_id, "cancel")
    cancelled_at = datetime.now(UTC)

    counts = poll(
        lambda: statistics_of(stack, mailing_id)["messages"],
        until=lambda counts: counts["queued"] + counts["deferred"] == 0,
        deadline_seconds=30,
    )
    assert counts["cancelled"] > 0
    assert counts["sent"] + counts["cancelled"] == len(crowd)
    swept(stack, mailing_id)
    assert begun_after(stack, cancelled_at + EFFECTIVE) == []
    assert stack.request("POST", f"/mailings/{mailing_id}/resume").status_code == 409
    assert_counters_equal_recount(stack, mailing_id)


def test_deleted_mailing_sends_nothing_more_and_is_gone_from_lists(stack: RunningStack, crowd: Sequence[str]) -> None:
    mailing_id = create_mailing(stack, "crowd")
    counts_until(stack, mailing_id, "sent", at_least=len(crowd) // 10)
    a_row = rows(stack, mailing_id)[0]["id"]
    before = stack.request("GET", "/stats").json()["totals"]["total"]

    assert stack.request("DELETE", f"/mailings/{mailing_id}").status_code == 204
    deleted_at = datetime.now(UTC)

    assert stack.request("GET", "/stats").json()["totals"]["total"] <= before - len(crowd)
    assert mailing_id not in {each["id"] for each in stack.request("GET", "/mailings").json()["items"]}
    quiet = deleted_at + EFFECTIVE + timedelta(seconds=2)
    poll(lambda: datetime.now(UTC), until=lambda now: now > quiet, deadline_seconds=15)
    assert begun_after(stack, deleted_at + EFFECTIVE) == []
    ended = poll(
        lambda: stack.request("GET", f"/messages/{a_row}").json()["status"],
        until=lambda status: status in {"sent", "cancelled"},
        deadline_seconds=30,
    )
    assert ended


def test_retry_asks_again_for_the_failed_only(stack: RunningStack, crowd: Sequence[str]) -> None:
    stack.control(status=400, error_rate=0.2, seed=7)
    mailing_id = create_mailing(stack, "crowd")
    statistics = finished(stack, mailing_id)
    failed = {row["id"] for row in rows(stack, mailing_id) if row["status"] == "failed"}
    assert statistics["reasons"]["failed"] == {"refused": len(failed)}
    assert 0 < len(failed) < CROWD
    stack.control()
    stack.forget_received()

    control(stack, mailing_id, "retry")

    again = poll(
        lambda: statistics_of(stack, mailing_id),
        until=lambda statistics: statistics["mailing"]["status"] == "finished",
        deadline_seconds=60,
    )
    assert again["messages"]["sent"] == len(crowd)
    assert Counter(each["id"] for each in requests_to(stack)) == Counter(failed)
    assert_counters_equal_recount(stack, mailing_id)


def test_draft_waits_to_be_started(stack: RunningStack) -> None:
    load_clients(stack, 3, "drafted")
    mailing_id = create_mailing(stack, "drafted", draft=True)
    assert stack.request("GET", f"/mailings/{mailing_id}").json()["status"] == "draft"
    assert stack.request("POST", "/mailings/process").json()["mailings"] == []
    change(stack, mailing_id, text="ready")

    control(stack, mailing_id, "start")

    assert finished(stack, mailing_id)["messages"]["sent"] == 3
    assert {each["text"] for each in requests_to(stack)} == {"ready"}


def test_window_is_in_each_clients_own_time_and_a_changed_one_frees_them(stack: RunningStack) -> None:
    for zone in ZONES:
        load_clients(stack, 2, "worldwide", timezone=zone)
    now = datetime.now(UTC)
    here = now.astimezone(ZoneInfo("Asia/Yekaterinburg"))
    opens, closes = here - timedelta(minutes=30), here + timedelta(minutes=30)
    window = {"from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}"}
    mailing_id = create_mailing(stack, "worldwide", end_at=now + timedelta(days=2), window=window)

    counts_until(stack, mailing_id, "deferred", at_least=10)
    counts_until(stack, mailing_id, "sent", at_least=2)
    zones = {
        client["id"]: client["timezone"] for client in stack.request("GET", "/clients?tag=worldwide").json()["items"]
    }
    for row in rows(stack, mailing_id):
        explained = stack.request("GET", f"/messages/{row['id']}/explain").json()
        if zones[row["client_id"]] == "Asia/Yekaterinburg":
            assert row["status"] == "sent"
            continue
        assert (row["status"], row["reason"]) == ("deferred", "window")
        opening = datetime.fromisoformat(row["due_at"])
        assert explained["next_at"] == row["due_at"]
        local = opening.astimezone(resolve_timezone(zones[row["client_id"]]))
        assert (local.hour, local.minute) == (opens.hour, opens.minute)
        assert now < opening < now + timedelta(days=1)

    change(stack, mailing_id, window=None)

    assert finished(stack, mailing_id)["messages"]["sent"] == 12
    assert_counters_equal_recount(stack, mailing_id)


def test_deleted_client_gets_nothing_more_and_leaves_no_phone(stack: RunningStack) -> None:
    gone, *_ = load_clients(stack, 20, "leaving")
    phone = stack.request("GET", f"/clients/{gone}").json()["phone"]
    stack.control(status=503, retry_after=600)
    mailing_id = create_mailing(stack, "leaving")
    counts_until(stack, mailing_id, "deferred", at_least=20)

    assert stack.request("DELETE", f"/clients/{gone}").status_code == 204

    counts_until(stack, mailing_id, "cancelled", at_least=1, deadline_seconds=10)
    cancelled = [row["client_id"] for row in rows(stack, mailing_id) if row["status"] == "cancelled"]
    assert cancelled == [gone]
    dynamodb = stack.client("dynamodb")
    for table in ("clients", "audience", "messages", "mailings", "segments", "stats"):
        pages = dynamodb.get_paginator("scan").paginate(TableName=stack.table_name(table))
        assert phone not in str([page["Items"] for page in pages])
    control(stack, mailing_id, "cancel")


def test_small_mailing_is_not_behind_a_large_one(stack: RunningStack, crowd: Sequence[str]) -> None:
    load_clients(stack, 20, "few")
    stack.control(latency_ms=500)
    large = create_mailing(stack, "crowd")
    counts_until(stack, large, "sent", at_least=1)

    small = create_mailing(stack, "few")

    assert finished(stack, small, deadline_seconds=15)["messages"]["sent"] == 20
    assert statistics_of(stack, large)["messages"]["sent"] < len(crowd) // 2
    control(stack, large, "cancel")
