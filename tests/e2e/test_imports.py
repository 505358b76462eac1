"""Imports over the API, on the packaged functions: files uploaded by signed forms."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

import import_file
from tests.e2e.steps import (
    assert_counters_equal_recount,
    counts_until,
    create_mailing,
    finished,
    load_clients,
    phones,
)
from tests.running_stack import TIMEOUT_SECONDS, RunningStack, poll

PROGRAM = Path(import_file.__file__)
ENDED = ("finished", "failed")
MEGABYTE = 1_000_000
IMPORTER_MB = 130  # a process that has done nothing yet has some 75


def begin(stack: RunningStack) -> dict[str, Any]:
    answer = stack.request("POST", "/clients/imports")
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"./imports/{created['id']}"
    return created


def upload(created: dict[str, Any], content: bytes, **fields: str) -> requests.Response:
    form = created["upload"]
    files = {"file": ("clients.csv", content, "text/csv")}
    return requests.post(form["url"], data=form["fields"] | fields, files=files, timeout=TIMEOUT_SECONDS)


def look(stack: RunningStack, import_id: str, query: str = "") -> dict[str, Any]:
    answer = stack.request("GET", f"/clients/imports/{import_id}{query}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def ended(stack: RunningStack, import_id: str, *, deadline_seconds: float = 200) -> dict[str, Any]:
    return poll(
        lambda: look(stack, import_id),
        until=lambda shown: shown["status"] in ENDED,
        deadline_seconds=deadline_seconds,
    )


def imported(stack: RunningStack, content: bytes) -> dict[str, Any]:
    created = begin(stack)
    answer = upload(created, content)
    assert answer.ok, answer.text
    return ended(stack, created["id"])


def counts(shown: dict[str, Any]) -> dict[str, int]:
    return {name: shown["progress"][name] for name in ("rows", "created", "changed", "unchanged", "refused")}


@contextmanager
def timeout_of_importer(stack: RunningStack, seconds: int) -> Iterator[None]:
    functions, name = stack.client("lambda"), f"{stack.info.stack_name}-importer"
    before = functions.get_function_configuration(FunctionName=name)["Timeout"]
    functions.update_function_configuration(FunctionName=name, Timeout=seconds)
    yield
    functions.update_function_configuration(FunctionName=name, Timeout=before)


@pytest.mark.of_lambda("the function's configuration cuts its time short")
def test_thousands_of_rows_are_imported_over_several_runs_and_the_bad_ones_named(stack: RunningStack) -> None:
    given = [next(phones) for _ in range(5000)]
    lines = [f"{phone};Asia/Omsk;imported" for phone in given]
    for index in range(0, 5000, 50):
        lines[index] = f"{given[index]}0;Asia/Omsk;imported"
    content = "\r\n".join(["\ufeffphone;timezone;tag", *lines]).encode()
    with timeout_of_importer(stack, 14):  # a second, and what it keeps for a batch
        first = imported(stack, content)
        again = imported(stack, content)

    expected = {"rows": 5000, "changed": 0, "refused": 100}
    assert first["status"] == "finished"
    assert counts(first) == expected | {"created": 4900, "unchanged": 0}
    assert first["progress"]["bytes"] == first["progress"]["bytes_total"] == len(content)
    assert counts(again) == expected | {"created": 0, "unchanged": 4900}
    page = look(stack, first["id"], "?limit=60")["refused_rows"]
    rest = look(stack, first["id"], f"?limit=60&cursor={page['next']}")["refused_rows"]
    refused = [*page["items"], *rest["items"]]
    assert [row["line"] for row in refused] == list(range(2, 5002, 50))
    assert {row["field"] for row in refused} == {"phone"}
    assert rest["next"] is None
    (client,) = stack.request("GET", f"/clients?phone={given[1]}").json()["items"]
    assert (client["timezone"], client["tag"]) == ("Asia/Omsk", "imported")
    assert stack.request("GET", f"/clients?phone={given[0]}").json()["items"] == []
    log = stack.client("logs")
    group = f"/aws/lambda/{stack.info.stack_name}-importer"
    handed_on = log.filter_log_events(logGroupName=group, filterPattern='"import handed on"')["events"]
    assert any(first["id"] in event["message"] for event in handed_on)


def test_a_lost_notice_of_an_upload_is_made_up_for(stack: RunningStack) -> None:
    s3, sqs = stack.client("s3"), stack.client("sqs")
    created = begin(stack)
    bucket = next(one["Name"] for one in s3.list_buckets()["Buckets"] if "-imports-" in one["Name"])
    told = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert upload(created, f"phone,timezone\n{next(phones)},Asia/Omsk\n".encode()).ok
    again = {"QueueConfigurations": told}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=again)
    assert look(stack, created["id"])["status"] == "waiting"
    due = {":past": {"N": "0"}}
    stack.client("dynamodb").update_item(
        TableName=stack.table_name("imports"),
        Key={"id": {"S": created["id"]}, "part": {"S": "import"}},
        UpdateExpression="SET due_at = :past",
        ExpressionAttributeValues=due,
    )
    stack.invoke(
        "dispatcher",
        json.dumps(
            dict.fromkeys(
                ("version", "account", "region", "detail", "detail-type", "source", "time", "id", "resources"), ""
            )
        ),
    )
    assert counts(ended(stack, created["id"]))["created"] == 1
    assert sqs.get_queue_attributes(
        QueueUrl=stack.queue_url("import-dlq"), AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "0"}


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04" + bytes(range(256)) * 100, "the file is a zip archive"),
        (b"\x7fELF" + b"\0" * 1000, "line 1 holds a NUL"),
        (b"phone,timezone\n" + b"7" * (80 * MEGABYTE), "line 2: the row is longer than 65536 bytes"),
        (b'phone,timezone\n"7' + b"9\n" * (2 * MEGABYTE), "line 2: the row is longer than 65536 bytes"),
        ("phone,timezone,tag\n79990000001,Asia/Omsk,Пётр\n".encode("cp1251"), "line 2 is not UTF-8"),
        (b"name,phone\nx,79990000001\n", "the header's column 1 is 'name'"),
    ],
    ids=["empty", "zip", "binary", "80 MB line", "quote", "cp1251", "columns"],
)
def test_a_file_that_is_no_csv_ends_with_a_clear_word(stack: RunningStack, content: bytes, failure: str) -> None:
    shown = imported(stack, content)

    assert shown["status"] == "failed"
    assert shown["failure"].startswith(failure)
    assert shown["progress"]["created"] == 0
    assert stack.peak_mb("importer") < IMPORTER_MB


@pytest.mark.of_lambda("it takes long, and is about the memory of a function")
def test_a_hundred_thousand_errors_are_all_counted_and_listed(stack: RunningStack) -> None:
    shown = imported(stack, b"phone,timezone\n" + b"7916,Nowhere\n" * 100_000)

    assert shown["status"] == "finished"
    assert counts(shown) == {"rows": 100_000, "created": 0, "changed": 0, "unchanged": 0, "refused": 100_000}
    lines: list[int] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = look(stack, shown["id"], f"?limit=500{page['next'] and '&cursor='}{page['next']}")["refused_rows"]
        lines += [row["line"] for row in page["items"]]
    assert lines == list(range(2, 100_002))
    assert stack.peak_mb("importer") < IMPORTER_MB


def test_s3_takes_nothing_but_what_was_signed(stack: RunningStack) -> None:
    created = begin(stack)
    assert created["upload"]["max_bytes"] == 200 * 1024 * 1024
    policy_of_other = begin(stack)["upload"]["fields"]["policy"]
    for answer in (
        upload(created, b"phone,timezone\n", key="another"),
        upload(created, b"phone,timezone\n", policy=policy_of_other),
        upload(created, bytes(created["upload"]["max_bytes"] + 1)),
    ):
        assert 400 <= answer.status_code < 500, answer.text
    assert "EntityTooLarge" in answer.text
    assert look(stack, created["id"])["status"] == "waiting"


def make_import(stack: RunningStack, tmp_path: Path, file: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    told = tmp_path / "stack.json"
    told.write_text(json.dumps({"api_url": stack.info.api_url, "token": stack.info.token}))
    command = [sys.executable, str(PROGRAM), str(file), "--stack", str(told), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_make_import_shows_what_came_of_the_rows(stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    rows = [f"{next(phones)},Asia/Omsk", *(["7916,Asia/Omsk"] * 25)]
    file.write_text("\n".join(["phone,timezone", *rows]))
    done = make_import(stack, tmp_path, file)

    assert done.returncode == 1, done.stderr
    assert "finished, 26 rows: 1 created, 0 changed, 0 unchanged, 25 refused" in done.stdout
    assert "the first 20 of 25" in done.stdout
    file.write_text("\n".join(["phone,timezone", rows[0]]))
    assert make_import(stack, tmp_path, file).returncode == 0
    file.write_text("phone,zone\n")
    failed = make_import(stack, tmp_path, file)
    assert failed.returncode == 1
    assert "it failed: the header's column 2 is 'zone'" in failed.stdout


def test_who_opted_out_by_a_file_gets_nothing_any_more(stack: RunningStack, tmp_path: Path) -> None:
    load_clients(stack, 40, "by file", timezone="UTC")
    leaving = [client["phone"] for client in stack.request("GET", "/clients?tag=by%20file").json()["items"]]
    strangers = [next(phones) for _ in range(1000)]
    now = datetime.now(UTC)
    closed = {"from": f"{now + timedelta(hours=10):%H}:00", "to": f"{now + timedelta(hours=11):%H}:00"}
    mailing_id = create_mailing(stack, "by file", end_at=now + timedelta(hours=20), window=closed)
    counts_until(stack, mailing_id, "deferred", at_least=40)
    assert stack.request("POST", "/suppressions", {"phone": leaving[0]}).status_code == 201
    file = tmp_path / "suppressions.csv"
    file.write_text("\n".join(["phone", *leaving, *strangers, "7916"]))

    done = make_import(stack, tmp_path, file, "--kind", "suppressions")

    assert "finished, 1041 rows: 1039 created, 0 changed, 1 unchanged, 1 refused" in done.stdout, done.stderr
    assert finished(stack, mailing_id)["reasons"]["cancelled"] == {"suppressed": 40}
    assert_counters_equal_recount(stack, mailing_id)
    file.write_text(f"phone,timezone,tag\n{strangers[0]},UTC,by file\n{next(phones)},UTC,by file\n")
    assert make_import(stack, tmp_path, file).returncode == 0
    body = {"start_at": now.isoformat(), "end_at": (now + timedelta(hours=20)).isoformat(), "text": "Hello"}
    told = stack.request("POST", "/mailings/preview", {**body, "filter": {"tags": ["by file"]}}).json()
    assert (told["audience"], told["suppressed"]) == (1, 41)
    import_id = done.stdout.partition("import ")[2].partition(":")[0]
    assert stack.request("GET", f"/suppressions/imports/{import_id}").json()["progress"]["created"] == 1039
    assert stack.request("GET", f"/clients/imports/{import_id}").status_code == 404
