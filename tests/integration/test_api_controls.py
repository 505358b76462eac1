from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.mailing import Mailing, MailingStatus
from tests.builders import mailing, ulid
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.gateway import Gateway

ID = ulid(100)
HOUR = timedelta(hours=1)
CONTROLS = ("start", "pause", "resume", "cancel", "retry")
PATH = f"/mailings/{ID}"

Storing = Callable[..., Mailing]


@pytest.fixture
def stored(built: Application) -> Storing:
    """Store a mailing in some state, with rows if it has started."""

    def store(status: MailingStatus, **changes: object) -> Mailing:
        now = utc_now()
        started: dict[str, Any] = {"segments": 1, "message_shards": 4, "started_at": now, "planned_at": now}
        made = mailing(id=ID, status=status, start_at=now - HOUR, end_at=now + HOUR, created_at=now, updated_at=now)
        has_rows = status not in {MailingStatus.DRAFT, MailingStatus.SCHEDULED}
        made = replace(made, **(started if has_rows else {}) | changes)
        built.mailings.create(made)
        return made

    return store


@pytest.mark.parametrize(
    ("control", "before", "after"),
    [
        ("start", MailingStatus.DRAFT, "scheduled"),
        ("pause", MailingStatus.RUNNING, "paused"),
        ("resume", MailingStatus.PAUSED, "running"),
        ("cancel", MailingStatus.SCHEDULED, "cancelled"),
        ("cancel", MailingStatus.PAUSED, "cancelled"),
        ("retry", MailingStatus.FINISHED, "running"),
    ],
)
@pytest.mark.parametrize("raw", [None, "", "{}", " { } "])
def test_a_control_answers_with_the_mailing(
    api: Gateway, stored: Storing, control: str, before: MailingStatus, after: str, raw: str | None
) -> None:
    stored(before)
    shown = api("GET", PATH).json
    answer = api("POST", f"{PATH}/{control}", raw=raw)
    assert answer.status == 200, answer.text
    assert answer.json == shown | {"status": after, "updated_at": answer.json["updated_at"], "finished_at": None}
    assert api("GET", PATH).json == answer.json


@pytest.mark.parametrize(
    ("control", "status"),
    [
        ("start", MailingStatus.SCHEDULED),
        ("pause", MailingStatus.SCHEDULED),
        ("resume", MailingStatus.RUNNING),
        ("cancel", MailingStatus.FINISHED),
        ("retry", MailingStatus.PAUSED),
    ],
)
def test_a_state_that_does_not_allow_it_is_named(
    api: Gateway, stored: Storing, control: str, status: MailingStatus
) -> None:
    stored(status)
    shown = api("GET", PATH).json
    refused = api("POST", f"{PATH}/{control}")
    assert (refused.status, refused.headers["Content-Type"]) == (409, "application/problem+json")
    assert status in refused.json["detail"]
    assert api("GET", PATH).json == shown


def test_what_has_ended_cannot_be_resumed(api: Gateway, stored: Storing) -> None:
    stored(MailingStatus.PAUSED, end_at=utc_now())
    refused = api("POST", f"{PATH}/resume")
    assert refused.status == 409
    assert "end_at has passed" in refused.json["detail"]


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("id_", [ulid(404), "x", "%F0%9F", "process"])
def test_an_id_of_no_mailing_is_not_found(api: Gateway, control: str, id_: str) -> None:
    assert api("POST", f"/mailings/{id_}/{control}").status == 404


@pytest.mark.parametrize("control", CONTROLS)
def test_a_deleted_mailing_is_not_found(api: Gateway, stored: Storing, control: str) -> None:
    stored(MailingStatus.DELETED)
    assert api("POST", f"{PATH}/{control}").status == 404


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize(
    ("query", "raw", "status", "fields"),
    [
        ("", '{"force": true}', 422, ["force"]),
        ("?force=true", None, 422, ["force"]),
        ("?force=true", "{}", 422, ["force"]),
        ("", "[]", 422, ["body"]),
        ("", "null", 422, ["body"]),
        ("", "{", 400, None),
        ("", " ", 400, None),
    ],
)
def test_what_is_told_beside_the_address_is_refused(
    api: Gateway, stored: Storing, control: str, query: str, raw: str | None, status: int, fields: list[str] | None
) -> None:
    of_each = {"start": MailingStatus.DRAFT, "resume": MailingStatus.PAUSED}
    stored(of_each.get(control, MailingStatus.RUNNING))
    shown = api("GET", PATH).json
    refused = api("POST", f"{PATH}/{control}{query}", raw=raw)
    assert refused.status == status, refused.text
    assert fields is None or refused.fields == fields
    assert api("GET", PATH).json == shown


def test_nobody_controls_without_the_token(stored: Storing) -> None:
    stored(MailingStatus.RUNNING)
    assert {Gateway()("POST", f"{PATH}/{control}").status for control in CONTROLS} == {401}


# --- Drafts


def draft(api: Gateway, **ahead: float) -> dict[str, Any]:
    now = utc_now()
    start_at, end_at = now + timedelta(**ahead), now + timedelta(days=1)
    asked = {"start_at": start_at.isoformat(), "end_at": end_at.isoformat(), "text": "Hello", "draft": True}
    answer = api("POST", "/mailings", asked)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_draft_waits_until_it_is_told_to_start(api: Gateway, scheduler: FakeScheduler, hours: int) -> None:
    made = draft(api, hours=hours)
    assert made["status"] == "draft"
    assert "draft" not in made
    assert api("POST", "/mailings/process").json == {"mailings": []}
    assert (scheduler.scheduled, scheduler.started) == ({}, [])
    assert [item["id"] for item in api("GET", "/mailings?status=draft").json["items"]] == [made["id"]]
    assert api("POST", f"/mailings/{made['id']}/start").json["status"] == "scheduled"
    assert (list(scheduler.scheduled), scheduler.started) == (([made["id"]], []) if hours > 0 else ([], [made["id"]]))
    assert api("POST", f"/mailings/{made['id']}/start").status == 409


def test_a_mailing_that_is_no_draft_may_say_so(api: Gateway, scheduler: FakeScheduler) -> None:
    now = utc_now()
    asked = {"start_at": now.isoformat(), "end_at": (now + HOUR).isoformat(), "text": "Hello", "draft": False}
    made = api("POST", "/mailings", asked).json
    assert (made["status"], scheduler.started) == ("scheduled", [made["id"]])


def test_everything_of_a_draft_may_change_and_nothing_makes_it_one(api: Gateway, scheduler: FakeScheduler) -> None:
    path = f"/mailings/{draft(api, hours=1)['id']}"
    change = {
        "start_at": "2026-11-23T06:00:00Z",
        "end_at": "2026-11-24T06:00:00Z",
        "text": "Other",
        "filter": {"operator_codes": ["916"], "tags": ["vip"]},
        "window": {"from": "09:00", "to": "21:00"},
        "on_uncertain": "hold",
    }
    now = utc_now()
    change |= {"start_at": f"{now + HOUR:%Y-%m-%dT%H:%M:%SZ}", "end_at": f"{now + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"}
    changed = api("PATCH", path, change)
    assert changed.status == 200, changed.text
    assert changed.json == api("GET", path).json
    assert changed.json.items() >= change.items()
    assert changed.json["status"] == "draft"
    assert scheduler.scheduled == {}
    assert api("PATCH", path, {"draft": False}).fields == ["draft"]


# --- Sweeps, in the tables and in the statistics


def test_a_sweep_shows_its_progress(
    api: Gateway, built: Application, stored: Storing, tickets: FakeTicketQueue
) -> None:
    stored(MailingStatus.RUNNING)
    assert api("GET", f"{PATH}/stats").json["sweep"] is None
    api("POST", f"{PATH}/pause")
    assert api("GET", f"{PATH}/stats").json["sweep"] == {"kind": "follow", "segments": 8, "done": 0}
    assert [queued.ticket.mailing_id for queued in tickets.queued_segments] == [ID] * 8
    for segment in built.segments.of_mailing(ID)[:3]:
        built.segments.save(replace(segment, due_at=None))
    assert api("GET", f"{PATH}/stats").json["sweep"] == {"kind": "follow", "segments": 8, "done": 3}
    api("POST", f"{PATH}/resume")
    assert api("GET", f"{PATH}/stats").json["sweep"] == {"kind": "follow", "segments": 8, "done": 0}
    api("POST", f"{PATH}/retry")
    shown = api("GET", f"{PATH}/stats").json
    assert shown["sweep"] == {"kind": "retry", "segments": 4, "done": 0}
    assert (shown["planning"]["done"], shown["planning"]["planned_at"]) == (0, None)


def test_a_late_start_is_told(api: Gateway, stored: Storing) -> None:
    made = stored(MailingStatus.RUNNING, created_at=utc_now() - 2 * HOUR)
    assert made.started_at
    late = round((made.started_at - made.start_at).total_seconds(), 1)
    assert api("GET", f"{PATH}/stats").json["planning"]["late_seconds"] == late == 3600
