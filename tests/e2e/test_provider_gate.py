"""A provider that is down, refuses our token or has limits, on the packaged functions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    create_mailing,
    finished,
    load_clients,
    planned,
    rows,
    statistics_of,
)
from tests.running_stack import RunningStack, poll

CROWD = 300
SECOND = timedelta(seconds=1)
HELD = {"open", "half_open"}
FIRST = 10  # requests that a sender makes before it has heard of the provider
KNOWN_TO_ALL = 3 * SECOND  # a sender knows the breaker as it was a second ago, and is slow on a busy machine
WATCHED = 12 * SECOND
PROBES = 5  # while we watch, at the most: 2 s after it opened, then 4 s and 8 s later

Received = dict[str, Any]


@contextmanager
def provider_well_again(stack: RunningStack) -> Iterator[RunningStack]:
    """Leave the provider as it was found, and the breaker closed: other tests share the stack."""
    stack.control()
    stack.forget_received()
    try:
        yield stack
    finally:
        stack.control()
        provider_until(stack, "closed")


@pytest.fixture
def shared(stack: RunningStack) -> Iterator[RunningStack]:
    with provider_well_again(stack):
        yield stack


def provider(stack: RunningStack) -> dict[str, Any]:
    answer = stack.request("GET", "/health", headers={"Authorization": None})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["provider"]
    return told


def provider_until(stack: RunningStack, *states: str, deadline_seconds: float = 60) -> dict[str, Any]:
    """Wait until the API tells one of these states of the breaker."""
    return poll(lambda: provider(stack), until=lambda told: told["state"] in states, deadline_seconds=deadline_seconds)


def passed(moment: datetime) -> None:
    """Wait for a moment."""
    left = (moment - datetime.now(UTC)).total_seconds()
    poll(lambda: datetime.now(UTC), until=lambda now: now > moment, deadline_seconds=max(left, 0) + 5)


def requests_to(stack: RunningStack) -> list[Received]:
    """List what reached the provider, in the order in which it began."""
    return sorted(stack.received(limit=100_000)["last"], key=began)


def began(request: Received) -> datetime:
    return datetime.fromisoformat(request["started_at"])


def begun_between(stack: RunningStack, first: datetime, last: datetime) -> list[Received]:
    return [each for each in requests_to(stack) if first <= began(each) < last]


def assert_all_sent_once(stack: RunningStack, mailing_id: str, number: int) -> None:
    statistics = finished(stack, mailing_id, deadline_seconds=120)
    assert statistics["messages"]["sent"] == statistics["messages"]["total"] == number
    ours = {row["id"] for row in rows(stack, mailing_id)}
    accepted = [each["id"] for each in requests_to(stack) if each["accepted"] and each["id"] in ours]
    assert sorted(accepted) == sorted(ours)
    assert_counters_equal_recount(stack, mailing_id)


def assert_only_probes_after(stack: RunningStack, moment: datetime) -> None:
    """Watch for a while: some request must be made, but few."""
    passed(moment + WATCHED)
    assert len(begun_between(stack, moment, moment + WATCHED)) <= PROBES
    poll(lambda: requests_to(stack)[-1], until=lambda last: began(last) > moment, deadline_seconds=60)


def test_while_the_provider_is_down_only_probes_reach_it_and_no_attempts_are_burnt(shared: RunningStack) -> None:
    load_clients(shared, CROWD, "outage")
    load_clients(shared, 10, "meanwhile")
    shared.control(status=503)
    mailing_id = create_mailing(shared, "outage")

    told = provider_until(shared, *HELD)
    assert told["cause"] == "outage"
    since = datetime.fromisoformat(told["since"])
    quiet_from = since + KNOWN_TO_ALL
    passed(quiet_from + SECOND)  # outcomes are recorded within a second
    planned(shared, mailing_id)
    before = statistics_of(shared, mailing_id)
    assert before["messages"]["sent"] == 0
    assert before["reasons"]["deferred"]["outage"] > 0
    assert before["provider"]["since"] == told["since"]

    meanwhile = create_mailing(shared, "meanwhile")
    planned(shared, meanwhile)
    assert_only_probes_after(shared, quiet_from)
    assert statistics_of(shared, mailing_id)["attempts"] == before["attempts"]
    waiting = rows(shared, mailing_id)
    assert {row["status"] for row in waiting} <= {"queued", "deferred"}
    assert max(row["attempts"] for row in waiting) <= 2
    explained = shared.request("GET", f"/messages/{rows(shared, meanwhile)[0]['id']}/explain").json()
    assert explained["facts"]["provider_down_since"] == told["since"]
    assert provider(shared)["state"] in HELD

    shared.control()

    assert_all_sent_once(shared, mailing_id, CROWD)
    assert_all_sent_once(shared, meanwhile, 10)
    assert provider_until(shared, "closed")["since"] is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_stops_requests_and_counts_as_no_attempt(shared: RunningStack, status: int) -> None:
    tag = f"refused-{status}"
    load_clients(shared, CROWD, tag)
    shared.control(status=status)
    mailing_id = create_mailing(shared, tag)

    told = provider_until(shared, *HELD)
    assert told["cause"] == "token"
    quiet_from = datetime.fromisoformat(told["since"]) + KNOWN_TO_ALL
    assert_only_probes_after(shared, quiet_from)
    statistics = statistics_of(shared, mailing_id)
    assert statistics["attempts"] == statistics["messages"]["sent"] == 0
    assert statistics["errors"][0]["error"] == f"http_{status}"

    shared.control()

    assert_all_sent_once(shared, mailing_id, CROWD)
    assert {row["attempts"] for row in rows(shared, mailing_id)} == {1}


def test_retry_after_a_429_holds_for_all_senders(shared: RunningStack) -> None:
    size, latency, pause = 600, SECOND / 2, 6 * SECOND
    load_clients(shared, size, "slower")
    shared.control(latency_ms=500, status=429, retry_after=6, error_rate=0.3, seed=1)
    mailing_id = create_mailing(shared, "slower")

    refused = poll(
        lambda: [each for each in requests_to(shared) if each["status"] == 429], until=bool, deadline_seconds=60
    )
    said_at = began(refused[0]) + latency
    slowed = poll(lambda: provider(shared), until=lambda told: told["slowed_until"] is not None, deadline_seconds=10)
    assert slowed["state"] == "closed"
    passed(said_at + pause)

    before = begun_between(shared, said_at - 60 * SECOND, said_at + KNOWN_TO_ALL)
    quiet = begun_between(shared, said_at + KNOWN_TO_ALL, said_at + pause)
    assert FIRST <= len(before) < size, "some were made, and some were left to be held back"
    assert len(quiet) <= size // 100
    shared.control()

    assert_all_sent_once(shared, mailing_id, size)


# --- Limits, each on a stack of its own


@contextmanager
def limited(start_stack: StartStack, **settings: str) -> Iterator[RunningStack]:
    """Run a stack with these settings, on which a mailing above 100 is a large one."""
    stack = start_stack(emulator={"AUTH": "true"}, settings={"EXPRESS_MAX_CLIENTS": "100", **settings})
    try:
        yield stack
    finally:
        stack.close()


def test_all_senders_together_keep_the_pace(start_stack: StartStack) -> None:
    size, per_second = 600, 50
    with limited(start_stack, PROVIDER_MAX_PER_SECOND=str(per_second)) as stack:
        load_clients(stack, size, "paced")
        stack.control(latency_ms=20)
        mailing_id = create_mailing(stack, "paced")

        assert_all_sent_once(stack, mailing_id, size)

        moments = [began(each) for each in requests_to(stack)]
        assert len(moments) == size, "nobody is asked twice"
        # A busy machine starts some senders late, and lets requests begin some tenths of a second after their slots.
        fullest = most_within(moments, 5 * SECOND)
        assert 0.9 * per_second <= fullest / 5 <= 1.25 * per_second, "the limit is reached and not passed"


def most_within(moments: list[datetime], span: timedelta) -> int:
    """Count the moments of the fullest span of time; they are in order."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_requests_at_once_stay_within_the_limit_over_large_and_small_mailings(start_stack: StartStack) -> None:
    large_size, small_size, at_once = 400, 50, 10
    with limited(start_stack, PROVIDER_MAX_IN_FLIGHT=str(at_once)) as stack:
        load_clients(stack, large_size, "large")
        load_clients(stack, small_size, "small")
        stack.control(latency_ms=200)
        large = create_mailing(stack, "large")
        small = create_mailing(stack, "small")

        assert_all_sent_once(stack, small, small_size)
        assert_all_sent_once(stack, large, large_size)

        received = stack.received(limit=0)
        assert at_once // 2 <= received["max_in_flight"] <= at_once
        assert received["requests"] == large_size + small_size
