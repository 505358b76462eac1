from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.bootstrap import Application
from chalicelib.domain.message import Message, Outcome, Reason, Status, ended, put_off
from tests.builders import NOW, mailing, message, ulid
from tests.gateway import Gateway

MAILING = mailing(id=ulid(100), message_shards=3)


@pytest.fixture
def rows(built: Application) -> list[Message]:
    """Plan seven messages, over three shards."""
    built.mailings.create(MAILING)
    planned = [
        message(mailing_id=MAILING.id, client_id=ulid(n), mailing_shard=f"{MAILING.id}#{n % 3:02d}") for n in range(7)
    ]
    return list(built.messages.plan(MAILING, planned))


def test_the_messages_of_a_mailing_are_listed_once_each(api: Gateway, rows: list[Message]) -> None:
    for limit in (1, 2, 3, 500):
        pages = list(api.pages(f"/mailings/{MAILING.id}/messages", limit))
        assert all(len(page) <= limit for page in pages)
        assert sorted(item["id"] for page in pages for item in page) == sorted(row.id for row in rows)


def test_a_status_picks(api: Gateway, built: Application, rows: list[Message]) -> None:
    sent = replace(ended(rows[3], Status.SENT, expires_at=None), sent_at=NOW, attempts=1)
    built.messages.record(MAILING.id, [Outcome(rows[3], sent)])
    for limit in (1, 500):
        pages = api.pages(f"/mailings/{MAILING.id}/messages?status=sent", limit)
        assert [item["id"] for page in pages for item in page] == [rows[3].id]
    listed = [item for page in api.pages(f"/mailings/{MAILING.id}/messages?status=queued", 4) for item in page]
    assert len(listed) == 6


def test_a_message_is_shown_as_the_contract_says(api: Gateway, rows: list[Message]) -> None:
    shown = api("GET", f"/messages/{rows[0].id}")
    assert shown.status == 200
    assert shown.json == {
        "id": rows[0].id,
        "mailing_id": MAILING.id,
        "client_id": ulid(0),
        "status": "queued",
        "reason": None,
        "attempts": 0,
        "created_at": "2026-11-23T06:00:00Z",
        "sent_at": None,
        "due_at": "2026-11-23T06:15:00Z",
        "last_error": None,
    }


def test_a_deferred_message_shows_when_it_may_be_sent(api: Gateway, built: Application, rows: list[Message]) -> None:
    later = put_off(rows[0], NOW + timedelta(seconds=30), Reason.RETRY, now=NOW)
    later = replace(later, attempts=1, last_error="http_503")
    built.messages.record(MAILING.id, [Outcome(rows[0], later, "http_503")])
    shown = api("GET", f"/messages/{rows[0].id}").json
    assert (shown["status"], shown["reason"], shown["due_at"]) == ("deferred", "retry", "2026-11-23T06:00:30Z")
    assert (shown["attempts"], shown["last_error"]) == (1, "http_503")


@pytest.mark.parametrize("id_", ["0", "-1", "1.0", "x", "01", "9007199254740992", "1" * 400, "%D9%A1", "1%0A", "1"])
def test_an_id_of_no_message_is_not_found(api: Gateway, id_: str) -> None:
    assert api("GET", f"/messages/{id_}").status == 404


@pytest.mark.parametrize(("query", "field"), [("status=open", "status"), ("limit=0", "limit"), ("tag=x", "tag")])
def test_a_wrong_parameter_is_named(api: Gateway, rows: list[Message], query: str, field: str) -> None:  # noqa: ARG001 - the mailing
    refused = api("GET", f"/mailings/{MAILING.id}/messages?{query}")
    assert (refused.status, refused.fields) == (422, [field])


def test_a_cursor_is_good_for_its_own_mailing_only(api: Gateway, built: Application, rows: list[Message]) -> None:
    assert rows
    built.mailings.create(mailing(id=ulid(101)))
    cursor = api("GET", f"/mailings/{MAILING.id}/messages?limit=1").json["next"]
    assert api("GET", f"/mailings/{MAILING.id}/messages?cursor={cursor}").status == 200
    assert api("GET", f"/mailings/{ulid(101)}/messages?cursor={cursor}").fields == ["cursor"]
    assert api("GET", f"/mailings/{MAILING.id}/messages?status=sent&cursor={cursor}").fields == ["cursor"]
