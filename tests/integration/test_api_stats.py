from dataclasses import replace
from datetime import timedelta

from chalicelib.bootstrap import Application
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Outcome, Reason, Status, ended, put_off
from tests.builders import NOW, mailing, message, ulid
from tests.gateway import Gateway

NONE = {"queued": 0, "deferred": 0, "sent": 0, "failed": 0, "expired": 0, "cancelled": 0, "total": 0}

CLOSED = {"state": "closed", "cause": None, "since": None, "next_probe_at": None, "slowed_until": None}


def plan(built: Application, number: int, rows: int) -> str:
    """Store a mailing with so many queued messages."""
    id_ = ulid(number)
    built.mailings.create(mailing(id=id_))
    built.messages.plan(mailing(id=id_), [message(mailing_id=id_, client_id=ulid(n)) for n in range(rows)])
    return id_


def test_without_mailings_everything_is_nought(api: Gateway) -> None:
    assert api("GET", "/stats").json == {"totals": NONE, "mailings": [], "next": None, "provider": CLOSED}


def test_totals_are_over_all_mailings_whatever_the_page(api: Gateway, built: Application) -> None:
    ids = [plan(built, 100 + n, n + 1) for n in range(3)]
    first = api("GET", "/stats?limit=2").json
    assert first["totals"] == NONE | {"queued": 6, "total": 6}
    assert [(item["id"], item["messages"]["queued"]) for item in first["mailings"]] == [(ids[2], 3), (ids[1], 2)]
    second = api("GET", f"/stats?limit=2&cursor={first['next']}").json
    assert second["totals"] == first["totals"]
    assert second["mailings"] == [
        {
            "id": ids[0],
            "status": "scheduled",
            "start_at": "2026-11-23T06:00:00Z",
            "end_at": "2026-11-24T06:00:00Z",
            "messages": NONE | {"queued": 1, "total": 1},
        }
    ]


def test_a_deleted_mailing_does_not_count(api: Gateway, built: Application) -> None:
    plan(built, 100, 2)
    before = built.mailings.get(ulid(100))
    assert before
    built.mailings.replace(before, replace(before, status=MailingStatus.DELETED, version=2))
    assert api("GET", "/stats").json["totals"] == NONE


def test_the_statistics_of_a_mailing(api: Gateway, built: Application) -> None:
    id_ = plan(built, 100, 5)
    rows = list(built.messages.get_many([message(mailing_id=id_, client_id=ulid(n)).id for n in range(5)]).values())
    retried = replace(put_off(rows[0], NOW, Reason.RETRY, now=NOW), attempts=1, uncertain=1)
    refused = replace(ended(rows[1], Status.FAILED, Reason.REFUSED, expires_at=None), attempts=1)
    sent = [
        replace(ended(row, Status.SENT, expires_at=None), attempts=1, sent_at=NOW + timedelta(seconds=50 * number))
        for number, row in enumerate(rows[2:])
    ]
    built.messages.record(
        id_,
        [
            Outcome(rows[0], retried, "timeout"),
            Outcome(rows[1], refused, "http_422"),
            *(Outcome(row, after) for row, after in zip(rows[2:], sent, strict=True)),
        ],
    )
    shown = api("GET", f"/mailings/{id_}/stats")
    assert shown.status == 200
    assert shown.json == {
        "mailing": api("GET", f"/mailings/{id_}").json,
        "messages": NONE | {"deferred": 1, "failed": 1, "sent": 3, "total": 5},
        "reasons": {"deferred": {"retry": 1}, "failed": {"refused": 1}, "cancelled": {}},
        "attempts": 5,
        "uncertain": 1,
        "first_sent_at": "2026-11-23T06:00:00Z",
        "last_sent_at": "2026-11-23T06:01:40Z",
        "per_minute": [
            {"minute": "2026-11-23T06:00:00Z", "sent": 2},
            {"minute": "2026-11-23T06:01:00Z", "sent": 1},
        ],
        "errors": shown.json["errors"],
        "planning": {"segments": 0, "done": 0, "started_at": None, "planned_at": None, "late_seconds": None},
        "sweep": None,
        "provider": CLOSED,
    }
    assert sorted(error["error"] for error in shown.json["errors"]) == ["http_422", "timeout"]
    assert [error["count"] for error in shown.json["errors"]] == [1, 1]


def test_a_cursor_of_another_list_is_refused(api: Gateway, built: Application) -> None:
    for number in range(2):
        plan(built, 100 + number, 0)
    cursor = api("GET", "/mailings?limit=1").json["next"]
    assert api("GET", f"/stats?cursor={cursor}").fields == ["cursor"]
    assert api("GET", "/stats?status=sent").fields == ["status"]
