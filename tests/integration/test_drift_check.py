"""The function drift_check on the adapters: what it answers, what it writes, and the metric that the alarm watches."""

import json
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

import app
from chalicelib.adapters.counter_updates import REPAIR
from chalicelib.adapters.tables import CounterItem
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Outcome, Reason, Status, ended
from tests.builders import mailing, message, ulid

NOW = utc_now()
FINISHED = mailing(
    status=MailingStatus.FINISHED, start_at=NOW, planned_at=NOW, finished_at=NOW, updated_at=NOW, message_shards=4
)
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
RIGHT = {"attempts": 6, "failed": 3, "failed.refused": 3, "queued": 3, "uncertain": 3}


@pytest.fixture(autouse=True)
def finished(built: Application) -> None:
    """Store a mailing of six messages, of which three were refused."""
    built.mailings.create(FINISHED)
    rows = [message(client_id=ulid(n)) for n in range(6)]
    stored = built.messages.plan(
        FINISHED, [replace(row, mailing_shard=FINISHED.part_of(row.id), created_at=NOW) for row in rows]
    )
    tried = [replace(row, attempts=2, uncertain=1) for row in stored[:3]]
    refused = [ended(row, Status.FAILED, Reason.REFUSED, expires_at=None) for row in tried]
    built.messages.record(FINISHED.id, [Outcome(*pair) for pair in zip(stored, refused, strict=False)])


def falsify(built: Application, **changes: int) -> None:
    """Add to counters as only a fault of ours would."""
    built.dynamodb.client.update_item(
        TableName=CounterItem.Meta.table_name,
        Key={"mailing_id": {"S": FINISHED.id}, "counter": {"S": "total#07"}},
        UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in changes),
        ExpressionAttributeValues={f":{name}": {"N": str(change)} for name, change in changes.items()},
    )


def call(**event: object) -> Any:  # noqa: ANN401 - JSON
    return json.loads(json.dumps(app.drift_check(event, CONTEXT)))


def counted(answer: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    return {counter["counter"]: counter["counted"] for counter in answer["counters"]}


def test_counters_that_are_right_are_left_alone(built: Application) -> None:
    answer = call(mailing_id=FINISHED.id, repair=True)

    assert (answer["verdict"], answer["after"]) == ("right", None)
    assert counted(answer) == RIGHT
    assert built.counters.totals(FINISHED.id).repairs == 0


def test_counters_are_set_right_in_one_shard_of_their_own(built: Application) -> None:
    falsify(built, queued=-1, attempts=-3, uncertain=7)
    answer = call(mailing_id=FINISHED.id, repair=True)

    differences = {counter["counter"]: counter["difference"] for counter in answer["counters"]}
    assert {name: by for name, by in differences.items() if by} == {"attempts": -3, "queued": -1, "uncertain": 7}
    assert (answer["verdict"], answer["after"]["verdict"]) == ("drift", "right")
    assert counted(answer["after"]) == RIGHT
    shard = CounterItem.get(FINISHED.id, REPAIR, consistent_read=True)
    assert shard.repairs == 1
    assert +built.counters.totals(FINISHED.id).counts == RIGHT
    assert call(mailing_id=FINISHED.id, repair=True)["verdict"] == "right"


def test_the_night_s_check_finds_drift_logs_it_and_counts_it(
    built: Application,
    logged: StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    falsify(built, failed=-2, attempts=3)

    assert call(source="aws.events") == {"right": 0, "drift": 1, "busy": 0, "unchecked": 0}

    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (drift,) = [line for line in lines if line["message"] == "counters drift"]
    assert (drift["level"], drift["mailing_id"]) == ("ERROR", FINISHED.id)
    assert drift["differences"] == {"attempts": 3, "failed": -2}
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert (metric["CounterDrift"], metric["service"]) == ([5], "vestnik")
    (directive,) = metric["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Vestnik", [["service"]])


def test_what_names_no_mailing_of_ours_is_answered_with_an_error() -> None:
    assert call(mailing_id=ulid(404)) == {"error": "there is no such mailing"}
    assert call() == {"error": "mailing_id: Field required"}
