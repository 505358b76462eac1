import json
from io import StringIO
from typing import Any

import pytest

from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket
from chalicelib.errors import TransientError
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.list_dead_letters import ListDeadLetters
from chalicelib.services.redrive_dead_letters import RedriveDeadLetters
from tests.builders import NOW, mailing, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.watched import failing, watched
from tests.gateway import Gateway

MAILING = ulid(100)
TICKET = MessagesTicket(v=1, mailing_id=MAILING, message_ids=[1, 2**53 - 1]).model_dump_json()
PHONE, TEXT = "79161234567", "Come at nine!"


@pytest.fixture
def dead(built: Application) -> FakeDeadLetters:
    letters = FakeDeadLetters(utc_now)
    use(built, letters)
    return letters


def use(built: Application, letters: FakeDeadLetters) -> None:
    """Put dead letters in the place of SQS's, and everything that is built of them in the place of what was."""
    mailings = CachedMailings(built.mailings, utc_now)
    built.__dict__.update(
        list_dead_letters=ListDeadLetters(letters, utc_now),
        redrive_dead_letters=RedriveDeadLetters(letters, mailings, built.tickets, built.scheduler, utc_now),
    )


def test_dead_letters_are_listed_with_cause_and_ids(api: Gateway, dead: FakeDeadLetters) -> None:
    segment = SegmentTicket(v=1, mailing_id=MAILING, segment="plan#03").model_dump_json()
    garbage = dead.add(DeadQueue.SEND, "☃", "unreadable ticket: ticket: Invalid JSON", sent_at=NOW)
    faulty = dead.add(DeadQueue.EXPRESS, TICKET)
    plan = dead.add(DeadQueue.PLAN, segment)
    answer = api("GET", "/dead-letters")
    assert answer.status == 200
    assert answer.json["next"] is None
    by_id: dict[str, Any] = {item["id"]: item for item in answer.json["items"]}
    assert answer.json["items"][0] == {
        "id": garbage,
        "queue": "send",
        "cause": "unreadable ticket: ticket: Invalid JSON",
        "sent_at": "2026-11-23T06:00:00Z",
        "mailing_id": None,
        "message_ids": [],
        "segment": None,
        "body_bytes": 3,
    }
    assert "delivery failed" in by_id[faulty]["cause"]
    assert (by_id[faulty]["mailing_id"], by_id[faulty]["message_ids"]) == (MAILING, [1, 2**53 - 1])
    assert (by_id[plan]["segment"], by_id[plan]["body_bytes"]) == ("plan#03", len(segment))
    assert api("GET", "/dead-letters").json == answer.json


def test_one_queue_and_a_number_can_be_asked_for(api: Gateway, dead: FakeDeadLetters) -> None:
    ids = [dead.add(queue, "") for queue in (DeadQueue.SEND, DeadQueue.SCHEDULE, DeadQueue.SEND)]
    assert [item["id"] for item in api("GET", "/dead-letters?queue=schedule").json["items"]] == [ids[1]]
    assert len(api("GET", "/dead-letters?queue=send&limit=1").json["items"]) == 1
    assert api("GET", "/dead-letters?queue=plan").json == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("queue=scheduler", "queue"),
        ("queue=", "queue"),
        ("cursor=x", "cursor"),
        ("queue=send&queue=plan", "queue"),
    ],
)
def test_a_query_that_is_not_valid_is_refused_by_field(
    api: Gateway,
    dead: FakeDeadLetters,  # noqa: ARG001 - the queues
    query: str,
    field: str,
) -> None:
    refused = api("GET", f"/dead-letters?{query}")
    assert (refused.status, refused.fields) == (422, [field])


def test_no_answer_and_no_log_line_repeats_an_unreadable_body(
    api: Gateway, dead: FakeDeadLetters, logged: StringIO
) -> None:
    for body in (PHONE, TEXT, json.dumps({PHONE: TEXT}), json.dumps({"mailing_id": PHONE, "segment": TEXT})):
        for queue in DeadQueue:
            dead.add(queue, body)
    said = api("GET", "/dead-letters").text + api("POST", "/dead-letters/redrive").text + logged.getvalue()
    assert "dead letter redriven" in said
    assert PHONE not in said
    assert TEXT not in said


@pytest.mark.parametrize("raw", [None, "", "{}", '{"queue": null, "ids": null}'])
def test_everything_is_redriven_unless_told_otherwise(
    api: Gateway,
    built: Application,
    dead: FakeDeadLetters,
    tickets: FakeTicketQueue,
    scheduler: FakeScheduler,
    raw: str | None,
) -> None:
    built.mailings.create(mailing(id=MAILING))
    dead.add(DeadQueue.SEND, TICKET)
    dead.add(DeadQueue.PLAN, "garbage")
    dead.add(DeadQueue.SCHEDULE, json.dumps({"mailing_id": MAILING}))
    answer = api("POST", "/dead-letters/redrive", raw=raw)
    assert (answer.status, answer.json) == (202, {"redriven": 3, "left": 0, "reasons": {}})
    assert tickets.ids() == [1, 2**53 - 1]
    assert dead.put_backs == [(DeadQueue.PLAN, "garbage")]
    assert scheduler.started == [MAILING]
    assert api("POST", "/dead-letters/redrive", raw=raw).json == {"redriven": 0, "left": 0, "reasons": {}}


def test_what_is_left_is_told_with_the_reason(api: Gateway, dead: FakeDeadLetters) -> None:
    one, other = (dead.add(DeadQueue.SEND, "garbage") for _ in range(2))
    asked = {"queue": "send", "ids": [one, one, "gone"]}
    answer = api("POST", "/dead-letters/redrive", asked)
    assert (answer.status, answer.json) == (202, {"redriven": 1, "left": 1, "reasons": {"not_found": 1}})
    assert list(dead.letters) == [other]
    dead.add(DeadQueue.SCHEDULE, "names nobody")
    assert api("POST", "/dead-letters/redrive", {"queue": "schedule"}).json["reasons"] == {"no_mailing": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"queue": "scheduler"}, "queue"),
        ({"queue": 7}, "queue"),
        ({"ids": "x"}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["x"] * 501}, "ids"),
        ({"ids": [7]}, "ids.0"),
        ({"ids": [""]}, "ids.0"),
        ({"ids": ["x" * 101]}, "ids.0"),
        ({"id": "x"}, "id"),
        ([], "body"),
    ],
)
def test_a_body_that_is_not_valid_is_refused_by_field_and_redrives_nothing(
    api: Gateway, dead: FakeDeadLetters, body: object, field: str
) -> None:
    dead.add(DeadQueue.SEND, "garbage")
    refused = api("POST", "/dead-letters/redrive", body)
    assert (refused.status, refused.fields) == (422, [field])
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert dead.put_backs == []
    assert dead.waiting(DeadQueue.SEND) == 1


def test_a_query_beside_the_body_and_a_body_that_is_no_json_are_refused(api: Gateway, dead: FakeDeadLetters) -> None:
    dead.add(DeadQueue.SEND, "garbage")
    assert api("POST", "/dead-letters/redrive?queue=plan").fields == ["queue"]
    assert api("POST", "/dead-letters/redrive?queue=plan", {"queue": "plan"}).fields == ["queue"]
    assert api("POST", "/dead-letters/redrive", raw="{").status == 400
    assert dead.put_backs == []


def test_queues_that_do_not_answer_are_a_503(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:
    use(built, watched(dead, failing(TransientError("no"), times=100), "receive"))
    for answer in (api("GET", "/dead-letters"), api("POST", "/dead-letters/redrive")):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_without_the_token_letters_are_neither_seen_nor_moved(api: Gateway, dead: FakeDeadLetters) -> None:  # noqa: ARG001 - the application
    dead.add(DeadQueue.SEND, "garbage")
    assert Gateway()("GET", "/dead-letters").status == 401
    assert Gateway()("POST", "/dead-letters/redrive").status == 401
    assert dead.put_backs == []
