"""The daily report of the packaged function, held to what its own role allows, as the emulator keeps it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

import mail
from tests.e2e.steps import create_mailing, finished, load_clients, statistics_of
from tests.running_stack import RunningStack, poll

CLIENTS = 12
FIELDS = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
SCHEDULED = json.dumps(dict.fromkeys(FIELDS, "") | {"source": "aws.events"})
TEXT = "<script>alert(1)</script> Sale"


@pytest.fixture(scope="module")
def reporting(start_stack: Callable[..., RunningStack]) -> RunningStack:
    """A stack whose report is due all day."""
    return start_stack(emulator={"AUTH": "true"}, settings={"REPORT_HOUR": "0", "REPORT_ZONE": "+00:00"})


def mails(stack: RunningStack) -> Sequence[Mapping[str, Any]]:
    answer = requests.get(f"{stack.info.aws_endpoint_url}/_ministack/ses/messages", timeout=30).json()
    return [
        each | {body: "\n".join(each[body].splitlines()) for body in ("BodyText", "BodyHtml")}
        for account in answer["messages"].values()
        for each in account
    ]


def mails_of(stack: RunningStack, day: datetime) -> Sequence[Mapping[str, Any]]:
    return [each for each in mails(stack) if f"{day:%-d %B %Y}" in each["Subject"]]


def asked(stack: RunningStack, event: str) -> str:
    return str(json.loads(stack.invoke("daily-report", event))["outcome"])


def letters(stack: RunningStack) -> list[Any]:
    sqs, url = stack.client("sqs"), stack.queue_url("report-dlq")
    found: list[Any] = sqs.receive_message(QueueUrl=url).get("Messages", [])
    return found


def numbers(html: str, text: str) -> dict[str, int]:
    """Read the numbers of this day out of the text, and check that the HTML has them too."""
    rows = [line.rsplit(maxsplit=3) for line in text.splitlines()]
    found = {
        row[0]: int(row[1].replace(",", "")) for row in rows if len(row) == 4 and row[1].replace(",", "").isdigit()
    }
    assert all(label in html for label in found)
    return found


def test_report_arrives_once_though_it_is_triggered_many_times(reporting: RunningStack) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: asked(reporting, SCHEDULED), range(3)))
    outcomes.append(asked(reporting, SCHEDULED))

    # The schedule itself may have been first.
    assert set(outcomes) <= {"sent", "sent before, or being sent"}
    assert outcomes.count("sent") <= 1
    (mail_,) = mails_of(reporting, yesterday)
    assert (mail_["Source"], mail_["To"]) == ("reports@vestnik.example", ["team@vestnik.example"])
    assert "Days are those of +00:00." in mail_["BodyText"]
    assert "<!DOCTYPE html>" in mail_["BodyHtml"]
    assert letters(reporting) == []
    assert "could not be" not in mail_["BodyText"], "each part was read, by the rights of the function's own role"


def test_numbers_are_those_of_the_statistics(reporting: RunningStack, tmp_path: Path) -> None:
    for _ in range(CLIENTS):  # one by one: a process answers all of them, where many would have to start
        load_clients(reporting, 1, "report")
    reporting.control()
    sent = create_mailing(reporting, "report", text=TEXT)
    finished(reporting, sent)
    reporting.control(status=422)
    failed = create_mailing(reporting, "report")
    finished(reporting, failed)
    reporting.control()
    counts = [statistics_of(reporting, each)["messages"] for each in (sent, failed)]
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(asdict(reporting.info)))

    shown = subprocess.run(
        [sys.executable, mail.__file__, "--send", "today", "--stack", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"sent {CLIENTS}, failed 0, expired 0, cancelled 0" in shown.stdout
    (mail_,) = mails_of(reporting, datetime.now(UTC))
    assert f"subject  {mail_['Subject']}\n" in shown.stdout
    found = numbers(mail_["BodyHtml"], mail_["BodyText"])
    assert found["Sent"] == sum(each["sent"] for each in counts) == CLIENTS
    assert found["Failed"] == found["refused by the provider"] == sum(each["failed"] for each in counts) == CLIENTS
    assert (found["Mailings that ended"], found["New mailings"]) == (2, 2)
    assert f"{sent}\nsent {CLIENTS}, failed 0, expired 0, cancelled 0" in mail_["BodyText"]
    assert TEXT in mail_["BodyText"]
    assert "<script>" not in mail_["BodyHtml"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Sale" in mail_["BodyHtml"]
    assert mail_["BodyHtml"] in [file.read_text() for file in (tmp_path / "mail").iterdir()]


@pytest.mark.of_lambda("Lambda calls again, and keeps what failed")
def test_failure_is_tried_again_and_then_kept(reporting: RunningStack) -> None:
    configure(reporting, REPORT_SENDER="nobody@elsewhere.example")
    assert letters(reporting) == []
    before = len(mails(reporting))

    reporting.client("lambda").invoke(
        FunctionName=f"{reporting.info.stack_name}-daily-report", InvocationType="Event", Payload=b'{"day": "today"}'
    )

    (letter,) = poll(lambda: letters(reporting), until=bool, deadline_seconds=60)
    assert "Email address is not verified" in letter["Body"]
    assert len(mails(reporting)) == before


@pytest.mark.of_lambda("it sets variables of functions")
def test_wrong_setting_is_named_and_stops_no_other_function(reporting: RunningStack) -> None:
    configure(reporting, REPORT_SENDER="reports@vestnik.example", REPORT_ZONE="Mars/Olympus")

    answer = reporting.client("lambda").invoke(
        FunctionName=f"{reporting.info.stack_name}-daily-report", Payload=SCHEDULED.encode()
    )
    said = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert "REPORT_ZONE" in said["errorMessage"]
    configure(reporting, function="dispatcher", REPORT_ZONE="Mars/Olympus")
    reporting.invoke("dispatcher", SCHEDULED)

    configure(reporting, REPORT_ZONE="+00:00")
    assert asked(reporting, SCHEDULED) == "sent before, or being sent"
    assert asked(reporting, '{"day": "today"}') == "sent"


def configure(stack: RunningStack, function: str = "daily-report", **variables: str) -> None:
    """Set variables of a function by hand."""
    functions, name = stack.client("lambda"), f"{stack.info.stack_name}-{function}"
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": before | variables})
