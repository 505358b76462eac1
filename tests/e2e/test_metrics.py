"""A Prometheus that scrapes the packaged stack while a mailing is sent."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.adapters.figure_repository import SERVICE
from tests.e2e.steps import create_mailing, drained, finished, load_clients
from tests.prometheus import promtool, running_prometheus
from tests.running_stack import RunningStack, poll

CLIENTS = 40


@pytest.fixture(autouse=True)
def usual_provider(stack: RunningStack) -> Iterator[None]:
    yield
    stack.control()


@pytest.fixture
def secret(stack: RunningStack) -> Path:
    """The file that the stack keeps the scrape secret in."""
    path = stack.embedded._folder / "scrape-secret"
    assert path.stat().st_mode & 0o777 == 0o600
    return path


def test_a_real_prometheus_sees_a_mailing_as_it_is_sent(stack: RunningStack, secret: Path, tmp_path: Path) -> None:
    assert stack.info.metrics_url
    stack.control(latency_ms=300)
    load_clients(stack, CLIENTS, "metrics")
    stack.request("GET", "/metrics")  # warm, so that no scrape waits for a function to start
    with running_prometheus(tmp_path, stack.info.metrics_url, secret) as prometheus:
        poll(
            lambda: prometheus.query('vestnik_messages{mailing="other", status="sent"}'),
            until=bool,
            deadline_seconds=60,
        )
        before = sum(prometheus.query("vestnik_provider_call_seconds_count").values())
        mailing = create_mailing(stack, "metrics")
        finished(stack, mailing)
        drained(stack)
        sent = {"mailing": mailing, "status": "sent"}
        poll(
            lambda: prometheus.query(f'vestnik_messages{{mailing="{mailing}", status="sent"}}'),
            until=lambda found: found == {(("__name__", "vestnik_messages"), *sorted(sent.items())): CLIENTS},
            deadline_seconds=60,
        )
        poll(
            lambda: sum(prometheus.query("vestnik_provider_call_seconds_count").values()),
            until=lambda calls: calls >= before + CLIENTS,
            deadline_seconds=60,
        )
        rate = poll(
            lambda: prometheus.query("sum(rate(vestnik_provider_call_seconds_count[1m]))")[()],
            until=lambda rate: rate > 0,
            deadline_seconds=60,
        )
        slow = prometheus.query(
            "histogram_quantile(0.95, sum by (le) (rate(vestnik_provider_call_seconds_bucket[1m])))"
        )
        assert rate > 0
        assert 0.25 < slow[()] <= 2.5
        (target,) = prometheus.targets()
        assert (target["health"], target["lastError"]) == ("up", "")
        assert prometheus.query("vestnik_source_up == 0") == {}
        ages = prometheus.query("vestnik_queue_age_seconds")
        assert {dict(labels)["queue"] for labels in ages} == {"send", "express", "plan", "import"}


def test_what_minute_and_night_have_seen_is_told(stack: RunningStack) -> None:
    """Each by its own role, which allows it."""
    stack.tick("dispatcher")
    stack.tick("drift-check")
    text = stack.request("GET", "/metrics").text
    for name in ("dispatcher_last_run", "drift_check"):
        (moment,) = re.findall(rf"^vestnik_{name}_timestamp_seconds (\S+)$", text, re.MULTILINE)
        assert abs(time.time() - float(moment)) < 120
    assert re.findall(r"^vestnik_source_up.* 0\.0$", text, re.MULTILINE) == []
    record = stack.client("dynamodb").query(
        TableName=stack.table_name("stats"),
        KeyConditionExpression="mailing_id = :service",
        ExpressionAttributeValues={":service": {"S": SERVICE}},
    )
    assert {item["counter"]["S"] for item in record["Items"]} >= {"watch", "drift", "rest"}
    events = stack.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{stack.info.stack_name}-dispatcher", filterPattern='"DispatcherMinutes"'
    )["events"]
    (directive,) = json.loads(events[-1]["message"])["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Vestnik"


def test_what_is_answered_is_as_prometheus_wants_it(stack: RunningStack) -> None:
    answer = stack.request("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool("check", "metrics", given=answer.text) == ""


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer a.b.c", "Basic x"])
def test_nobody_else_is_told(stack: RunningStack, token: str | None) -> None:
    answer = stack.request("GET", "/metrics", headers={"Authorization": token})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scrape_secret_opens_nothing_else(stack: RunningStack, secret: Path) -> None:
    headers = {"Authorization": f"Bearer {secret.read_text()}"}
    assert stack.request("GET", "/metrics", headers=headers).status_code == 200
    assert stack.request("GET", "/stats", headers=headers).status_code == 401
