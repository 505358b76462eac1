"""Each runbook of docs/OPERATIONS.md, in the trouble that it is for: its blocks as they stand."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
import yaml

from access_token import fetch_token
from chalicelib.adapters.secrets import MAX_AGE_SECONDS
from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.e2e.steps import (
    assert_counters_equal_recount,
    change,
    counts_until,
    create_mailing,
    drained,
    finished,
    load_clients,
    planned,
    rows,
    send,
    statistics_of,
)
from tests.log_leaks import leaks_of
from tests.prometheus import MONITORING
from tests.runbooks import OPERATIONS, PREFACE, ROOT, Runbook, copied_checkout, sections
from tests.running_stack import RunningStack, poll

# One of 64 that are made up begins with a dash; here, each.
PROVIDER_TOKEN = "-the-token-of-the-provider"
NEXT_SECRET = "-the-next-secret-of-the-pages-at-the-issuer"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack that `make` in a checkout of its own speaks to."""
    checkout = copied_checkout(tmp_path_factory.mktemp("runbooks"))
    options = StackOptions(
        folder=checkout / ".local",
        port=free_port(),
        settings={"QUEUED_GRACE_SECONDS": "2"},
        parameters={"PagesClientSecret": "the-secret-of-the-pages-at-the-issuer"},
        provider_token=PROVIDER_TOKEN,
    )
    (checkout / ".local").mkdir()
    embedded = EmbeddedStack(options)
    leaks: list[str] = []
    running = RunningStack(embedded, embedded.up(), at_the_end=lambda stack: leaks.extend(leaks_of(stack)))
    yield running
    running.close()
    assert not leaks, "\n".join(leaks)


def the_provider_is_down(stack: RunningStack, runbook: Runbook) -> None:
    stack.control(status=503)
    load_clients(stack, 15, "outage")
    mailing_id = create_mailing(stack, "outage")
    provider_until(stack, "outage")

    seen = runbook.paste()
    assert '"cause":"outage"' in seen
    assert "http_503" in seen
    runbook.paste(MAILING=mailing_id)
    end_at = datetime.fromisoformat(statistics_of(stack, mailing_id)["mailing"]["end_at"])
    assert end_at - datetime.now(UTC) > timedelta(hours=5)
    stack.control()
    assert '"state":"closed"' in runbook.paste(MAILING=mailing_id)
    assert finished(stack, mailing_id)["messages"]["sent"] == 15


def the_provider_refuses_our_token(stack: RunningStack, runbook: Runbook) -> None:
    secrets, name = stack.client("secretsmanager"), f"{stack.info.stack_name}/provider-token"
    secrets.put_secret_value(SecretId=name, SecretString="expired")
    forgotten_at = time.monotonic() + MAX_AGE_SECONDS  # until then, who still has the good one closes the breaker again
    load_clients(stack, 15, "token")
    poll(time.monotonic, until=lambda now: now > forgotten_at, deadline_seconds=MAX_AGE_SECONDS + 10)
    mailing_id = create_mailing(stack, "token")
    provider_until(stack, "token")

    seen = runbook.paste()
    assert '"cause":"token"' in seen
    assert "vestnik_provider_token_expiry" in seen or "does not say" in seen
    runbook.paste(NEW_TOKEN=PROVIDER_TOKEN)
    runbook.paste()
    assert finished(stack, mailing_id)["messages"]["sent"] == 15


def a_dead_letter_queue_is_not_empty(stack: RunningStack, runbook: Runbook) -> None:
    load_clients(stack, 3, "dead")
    mailing_id = create_mailing(stack, "dead", window=window_that_is_closed())
    counts_until(stack, mailing_id, "deferred", at_least=3)
    change(stack, mailing_id, window=None)
    ids = [row["id"] for row in rows(stack, mailing_id)]
    send(stack, "send-dlq", {"v": 1, "mailing_id": mailing_id, "message_ids": ids})
    send(stack, "send-dlq", {"v": 1, "text": "for nobody"})

    seen = runbook.paste(MAILING=mailing_id)
    assert "for nobody" not in seen  # no body is ever shown
    assert mailing_id in seen
    assert json.loads(runbook.paste())["redriven"] == 2
    assert finished(stack, mailing_id)["messages"]["sent"] == 3
    poll(lambda: letters(stack), until=lambda left: left == 1, deadline_seconds=60)
    runbook.paste()
    runbook.paste()
    assert letters(stack) == 0
    runbook.check()


def a_mailing_is_stuck(stack: RunningStack, runbook: Runbook) -> None:
    load_clients(stack, 5, "stuck")
    nobody_is_called(stack)
    start_at = datetime.now(UTC) + timedelta(seconds=4)
    mailing_id = create_mailing(stack, "stuck", start_at=start_at)
    stack.client("scheduler").delete_schedule(GroupName=stack.info.stack_name, Name=mailing_id)
    poll(lambda: datetime.now(UTC), until=lambda now: now > start_at, deadline_seconds=10)

    assert '"status":"scheduled"' in runbook.paste(MAILING=mailing_id)
    assert mailing_id in runbook.paste()
    planned(stack, mailing_id)
    for queue in ("send", "express"):
        stack.client("sqs").purge_queue(QueueUrl=stack.queue_url(queue))
    assert "DISABLED" in runbook.paste()
    poll(lambda: called(stack), until=lambda states: states == {"ENABLED", "Enabled"}, deadline_seconds=30)
    falsify(stack, mailing_id, queued=1)
    counts_until(stack, mailing_id, "sent", at_least=5, deadline_seconds=150)
    assert "repaired" in runbook.paste()
    runbook.paste()
    assert_counters_equal_recount(stack, mailing_id)


def a_wrong_text_is_being_sent(stack: RunningStack, runbook: Runbook) -> None:
    mailing_id, sent, waiting = half_sent(stack, "wrong")
    stack.forget_received()

    assert '"status":"paused"' in runbook.paste(MAILING=mailing_id)
    assert runbook.paste().strip() == str(len(sent) + 1)
    recipients = (stack.embedded.folder.parent / "recipients.csv").read_text().splitlines()
    assert recipients[0] == "phone,client_id,message_id,sent_at"
    assert {line.split(",")[1] for line in recipients[1:]} == set(sent)
    assert all(re.match(r"7\d{10},", line) for line in recipients[1:])
    runbook.paste(TEXT="Our mistake", CLIENT=sent[0])
    poll(lambda: stack.received()["requests"], until=lambda requests: requests == 1, deadline_seconds=60)
    assert '"status":"running"' in runbook.paste()
    assert statistics_of(stack, mailing_id)["mailing"]["text"] == "Our mistake"
    assert '"status":"cancelled"' in runbook.paste()
    counts = counts_until(stack, mailing_id, "cancelled", at_least=len(waiting))
    assert counts["sent"] == len(sent)


def restore(stack: RunningStack, runbook: Runbook) -> None:
    mailing_id, sent, waiting = half_sent(stack, "restored")
    drained(stack)
    said = runbook.paste()
    (name,) = re.findall(r"^backup (\S+)$", said, re.MULTILINE)
    assert said.splitlines().count(name) == 1  # of the list
    dynamodb = stack.client("dynamodb")
    for table in ("messages", "stats"):
        dynamodb.update_table(TableName=stack.table_name(table), DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=stack.table_name(table))

    assert f"mailing {mailing_id} is paused" in runbook.paste(BACKUP=name)
    assert "no drift" in runbook.paste(MAILING=mailing_id)
    change(stack, mailing_id, window=None)
    runbook.paste()
    assert statistics_of(stack, mailing_id)["messages"]["sent"] == len(sent) + len(waiting)
    assert_counters_equal_recount(stack, mailing_id)
    assert runbook.paste().splitlines().count(f"{name}.messages") == 1
    assert not [
        backup for backup in dynamodb.list_backups()["BackupSummaries"] if backup["BackupName"].startswith(f"{name}.")
    ]


def rotate_secrets(stack: RunningStack, runbook: Runbook) -> None:
    secrets, signing_key = stack.client("secretsmanager"), f"{stack.info.stack_name}/signing-key"
    before = secrets.get_secret_value(SecretId=signing_key)["SecretString"]

    runbook.paste()
    metrics = (stack.embedded.folder.parent / "metrics.txt").read_text()
    assert "vestnik_build_info" in metrics
    runbook.paste()
    assert secrets.get_secret_value(SecretId=signing_key)["SecretString"] not in {"", before}
    runbook.paste(NEW_CLIENT_SECRET=NEXT_SECRET)
    told = secrets.get_secret_value(SecretId=f"{stack.info.stack_name}/pages-client-secret")
    assert told["SecretString"] == NEXT_SECRET
    requests.post(f"{stack.info.issuer_url}/_keys", timeout=10).raise_for_status()
    token = fetch_token(stack.info.issuer_url, stack.embedded.folder)
    assert '"messages"' in runbook.paste(NEW_ACCESS_TOKEN=token)


def grow_to_10_million_clients(stack: RunningStack, runbook: Runbook) -> None:
    load_clients(stack, 1, "grow")
    assert "by_due" in runbook.paste()
    runbook.check()
    told = re.findall(r"^(\w+)=\d+$", runbook.check(), re.MULTILINE)
    assert len(told) == 5
    assert set(told) <= parameters()
    now = datetime.now(UTC)
    seen = runbook.paste(START=now.isoformat(), END=(now + timedelta(hours=1)).isoformat(), TEXT="Hello")
    assert json.loads(seen)["audience"] >= 1
    assert "vestnik_queue_tickets" in runbook.paste()


TROUBLES: dict[str, Callable[[RunningStack, Runbook], None]] = {
    "The provider is down": the_provider_is_down,
    "The provider refuses our token": the_provider_refuses_our_token,
    "A dead-letter queue is not empty": a_dead_letter_queue_is_not_empty,
    "A mailing is stuck": a_mailing_is_stuck,
    "A wrong text is being sent": a_wrong_text_is_being_sent,
    "Restore": restore,
    "Rotate secrets": rotate_secrets,
    "Grow to 10 million clients": grow_to_10_million_clients,
}


@pytest.mark.parametrize("title", TROUBLES)
def test_runbook_leads_out_of_its_trouble(stack: RunningStack, title: str) -> None:
    stack.control()
    with Runbook(title, stack.embedded.folder.parent).followed() as runbook:
        TROUBLES[title](stack, runbook)


def test_every_runbook_is_tried() -> None:
    assert {title for title, blocks in sections().items() if title != PREFACE} == TROUBLES.keys()
    assert [block.on_aws for block in sections()[PREFACE]] == [False, True]
    assert all(sections().values())


def test_aws_reads_secrets_as_files() -> None:
    """As an argument, one that begins with a dash would be an option."""
    blocks = "".join(block.text for blocks in sections().values() for block in blocks)
    handed_over = re.findall(r"--secret-string (\S+)", blocks)
    assert len(handed_over) == 4
    assert set(handed_over) == {"file://<(printf"}


def test_few_blocks_need_aws() -> None:
    on_aws = [block for title, blocks in sections().items() if title != PREFACE for block in blocks if block.on_aws]
    assert len(on_aws) == 3


def test_what_sets_the_shell_up_for_aws_is_understood_by_it(stack: RunningStack) -> None:
    runbook = Runbook(PREFACE, stack.embedded.folder.parent)
    with runbook.followed():
        runbook.paste()
        runbook.check()


def test_alarms_and_alerts_that_runbooks_name_exist_and_each_is_somewhere() -> None:
    text = OPERATIONS.read_text()
    noticed = "".join(re.findall(r"^\*\*Noticed by\*\*.*?^$", text, re.MULTILINE | re.DOTALL))
    template = (ROOT / "infra/template.yaml").read_text()
    alarms = set(re.findall(r"^  (\w+Alarm):$", template, re.MULTILINE))
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert set(re.findall(r"`(\w+Alarm|Vestnik\w+)`", noticed)) <= alarms | alerts
    assert alarms | alerts <= set(re.findall(r"`(\w+Alarm|Vestnik\w+)`", text))


def provider(stack: RunningStack) -> dict[str, str]:
    told: dict[str, str] = stack.request("GET", "/health").json()["provider"]
    return told


def provider_until(stack: RunningStack, cause: str) -> None:
    poll(lambda: provider(stack), until=lambda told: told.get("cause") == cause, deadline_seconds=60)


def letters(stack: RunningStack) -> int:
    """Count the dead letters of the send queue, hidden or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = stack.queue_url("send-dlq")
    told = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, told.values()))


def nobody_is_called(stack: RunningStack) -> None:
    """Switch off what calls functions."""
    events, functions = stack.client("events"), stack.client("lambda")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def called(stack: RunningStack) -> set[str]:
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return {rule["State"] for rule in stack.client("events").list_rules()["Rules"]} | {
        mapping["State"] for mapping in mappings
    }


def falsify(stack: RunningStack, mailing_id: str, **by: int) -> None:
    """Add to a counter as only a fault of ours would."""
    for counter, number in by.items():
        stack.client("dynamodb").update_item(
            TableName=stack.table_name("stats"),
            Key={"mailing_id": {"S": mailing_id}, "counter": {"S": "total#07"}},
            UpdateExpression="ADD #counter :by",
            ExpressionAttributeNames={"#counter": counter},
            ExpressionAttributeValues={":by": {"N": str(number)}},
        )


def half_sent(stack: RunningStack, tag: str) -> tuple[str, list[str], list[str]]:
    """Make a mailing that some clients have got, and others wait for; returns it and their ids."""
    begins = datetime.now(UTC) - timedelta(hours=1)
    window = {"from": f"{begins:%H}:00", "to": f"{begins + timedelta(hours=3):%H}:00"}
    sent = load_clients(stack, 4, tag, timezone="+00:00")
    waiting = load_clients(stack, 4, tag, timezone="+12:00")
    mailing_id = create_mailing(stack, tag, window=window)
    counts_until(stack, mailing_id, "sent", at_least=4)
    counts_until(stack, mailing_id, "deferred", at_least=4)
    return mailing_id, sent, waiting


def window_that_is_closed() -> dict[str, str]:
    """Make a window of an hour that is hours away where clients are: in Yekaterinburg."""
    begins = datetime.now(UTC) + timedelta(hours=5 + 6)
    return {"from": f"{begins:%H}:00", "to": f"{begins + timedelta(hours=1):%H}:00"}


def parameters() -> set[str]:
    """Name the parameters of the template."""
    text = (ROOT / "infra/template.yaml").read_text()
    return set(re.findall(r"^  (\w+):", text[text.index("Parameters:") : text.index("\nRules:")], re.MULTILINE))
