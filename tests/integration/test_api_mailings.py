from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.tables import MailingItem
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.mailing import MailingStatus
from tests.builders import ulid
from tests.fakes.scheduler import FakeScheduler
from tests.gateway import Gateway
from tests.tables import items_of

UNKNOWN = ulid(404)


def wire(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def soon(**ahead: float) -> str:
    return wire(utc_now() + timedelta(**ahead))


def body(**changes: object) -> dict[str, Any]:
    return {"start_at": soon(hours=1), "end_at": soon(hours=2), "text": "Hello"} | changes


def created(api: Gateway, **changes: object) -> dict[str, Any]:
    answer = api("POST", "/mailings", body(**changes))
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def put_into(built: Application, mailing_id: str, status: MailingStatus) -> None:
    before = built.mailings.get(mailing_id)
    assert before
    built.mailings.replace(before, replace(before, status=status, version=before.version + 1))


def test_a_mailing_is_created_and_read_back(api: Gateway) -> None:
    asked = body(
        filter={"operator_codes": ["916"], "tags": ["vip", "ж"]},
        window={"from": "21:00", "to": "09:00"},
        on_uncertain="hold",
        text="Two\nlines",
    )
    made = api("POST", "/mailings", asked)
    assert made.status == 201, made.text
    assert made.headers["Location"] == f"./mailings/{made.json['id']}"
    assert made.json == asked | {
        "id": made.json["id"],
        "status": "scheduled",
        "created_at": made.json["created_at"],
        "updated_at": made.json["created_at"],
        "finished_at": None,
    }
    assert api("GET", f"/mailings/{made.json['id']}").json == made.json


def test_what_is_not_told_has_defaults(api: Gateway) -> None:
    made = created(api)
    assert (made["filter"], made["window"], made["on_uncertain"]) == (
        {"operator_codes": [], "tags": []},
        None,
        "retry",
    )


def test_a_mailing_of_the_future_is_scheduled(api: Gateway, scheduler: FakeScheduler) -> None:
    made = created(api)
    assert [wire(start) for start in scheduler.scheduled.values()] == [made["start_at"]]
    assert list(scheduler.scheduled) == [made["id"]]
    assert scheduler.started == []


def test_a_mailing_whose_start_has_passed_starts_at_once(api: Gateway, scheduler: FakeScheduler) -> None:
    made = created(api, start_at=soon(hours=-1))
    assert (scheduler.started, scheduler.scheduled) == ([made["id"]], {})


def test_a_mailing_stands_although_the_scheduler_is_down(api: Gateway, scheduler: FakeScheduler) -> None:
    scheduler.down = True
    made = created(api, start_at=soon(hours=-1))
    assert api("GET", f"/mailings/{made['id']}").json["status"] == "scheduled"


def test_times_keep_their_moment_whatever_their_offset(api: Gateway) -> None:
    start = utc_now().replace(microsecond=0) + timedelta(hours=1)
    made = created(api, start_at=start.isoformat().replace("+00:00", "Z"), end_at=soon(hours=30))
    assert made["start_at"] == wire(start)
    shifted = (start + timedelta(hours=3)).replace(tzinfo=None).isoformat() + ".1239+03:00"
    assert created(api, start_at=shifted, end_at=soon(hours=30))["start_at"] == wire(start)[:-1] + ".123Z"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"start_at": "2026-11-23T06:00:00"}, "start_at"),
    ({"start_at": "2026-11-23"}, "start_at"),
    ({"start_at": "2026-11-23 06:00:00Z"}, "start_at"),
    ({"start_at": "2026-13-23T06:00:00Z"}, "start_at"),
    ({"start_at": "2026-02-30T06:00:00Z"}, "start_at"),
    ({"start_at": "2026-11-23T24:00:00Z"}, "start_at"),
    ({"start_at": "2026-11-23T06:00:00+25:00"}, "start_at"),
    ({"start_at": "2026-11-23T06:00:00Z\n"}, "start_at"),
    ({"start_at": "٢٠٢٦-11-23T06:00:00Z"}, "start_at"),
    ({"start_at": "0001-01-01T00:00:00+03:00"}, "start_at"),
    ({"start_at": "9999-12-31T23:59:59-03:00"}, "start_at"),
    ({"start_at": "2300-01-01T00:00:00Z"}, "start_at"),
    ({"start_at": 1795413600}, "start_at"),
    ({"start_at": "1795413600"}, "start_at"),
    ({"start_at": None}, "start_at"),
    ({"end_at": "tomorrow"}, "end_at"),
    ({"end_at": soon(hours=1)}, "end_at"),
    ({"end_at": soon(minutes=30)}, "end_at"),
    ({"start_at": soon(hours=-2), "end_at": soon(hours=-1)}, "end_at"),
    ({"start_at": soon(days=1), "end_at": soon(days=31, seconds=2)}, "end_at"),
    ({"start_at": "0001-01-01T00:00:00Z"}, "end_at"),
    ({"text": ""}, "text"),
    ({"text": " \n "}, "text"),
    ({"text": "x" * 2001}, "text"),
    ({"text": "a\x00"}, "text"),
    ({"text": "\udc00"}, "text"),
    ({"text": None}, "text"),
    ({"text": 7}, "text"),
    ({"text": {}}, "text"),
    ({"filter": None}, "filter"),
    ({"filter": []}, "filter"),
    ({"filter": {"tag": ["vip"]}}, "filter.tag"),
    ({"filter": {"tags": "vip"}}, "filter.tags"),
    ({"filter": {"tags": None}}, "filter.tags"),
    ({"filter": {"tags": ["vip", ""]}}, "filter.tags.1"),
    ({"filter": {"tags": [1]}}, "filter.tags.0"),
    ({"filter": {"tags": ["x"] * 101}}, "filter.tags"),
    ({"filter": {"operator_codes": ["9166"]}}, "filter.operator_codes.0"),
    ({"filter": {"operator_codes": [916]}}, "filter.operator_codes.0"),
    ({"window": {}}, "window.from"),
    ({"window": {"from": "09:00"}}, "window.to"),
    ({"window": {"from": "9:00", "to": "21:00"}}, "window.from"),
    ({"window": {"from": "09:00", "to": "24:00"}}, "window.to"),
    ({"window": {"from": "09:00\n", "to": "21:00"}}, "window.from"),
    ({"window": {"from": "09:00", "to": "09:00"}}, "window"),
    ({"window": {"from_": "09:00", "from": "09:00", "to": "21:00"}}, "window.from_"),
    ({"window": "09:00-21:00"}, "window"),
    ({"window": False}, "window"),
    ({"on_uncertain": "maybe"}, "on_uncertain"),
    ({"on_uncertain": None}, "on_uncertain"),
    ({"draft": None}, "draft"),
    ({"draft": "true"}, "draft"),
    ({"draft": 1}, "draft"),
    ({"status": "running"}, "status"),
    ({"id": ulid(1)}, "id"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    api: Gateway, scheduler: FakeScheduler, change: dict[str, Any], field: str
) -> None:
    refused = api("POST", "/mailings", body(**change))
    assert refused.status == 422, refused.text
    assert field in refused.fields
    assert items_of(MailingItem) == []
    assert (scheduler.scheduled, scheduler.started) == ({}, [])


@pytest.mark.parametrize("missing", ["start_at", "end_at", "text"])
def test_a_missing_field_is_named(api: Gateway, missing: str) -> None:
    asked = body()
    del asked[missing]
    refused = api("POST", "/mailings", asked)
    assert (refused.status, refused.fields) == (422, [missing])


class TestChanging:
    @pytest.mark.parametrize(("change", "field"), [wrong for wrong in WRONG if wrong[0] != {"window": {}}])
    def test_a_wrong_field_is_named_and_nothing_is_stored(
        self, api: Gateway, change: dict[str, Any], field: str
    ) -> None:
        made = created(api)
        refused = api("PATCH", f"/mailings/{made['id']}", change)
        assert refused.status == 422, refused.text
        assert field in refused.fields
        assert api("GET", f"/mailings/{made['id']}").json == made

    def test_named_fields_change_and_the_others_stay(self, api: Gateway) -> None:
        made = created(api)
        change = {"text": "Other", "on_uncertain": "hold", "end_at": soon(hours=5)}
        changed = api("PATCH", f"/mailings/{made['id']}", change)
        assert changed.status == 200
        assert changed.json == made | change | {"updated_at": changed.json["updated_at"]}
        assert api("GET", f"/mailings/{made['id']}").json == changed.json

    def test_nothing_named_changes_nothing(self, api: Gateway) -> None:
        made = created(api)
        assert api("PATCH", f"/mailings/{made['id']}", {}).json == made

    def test_filter_and_window_are_merged_too(self, api: Gateway) -> None:
        made = created(api, filter={"tags": ["vip"]}, window={"from": "09:00", "to": "21:00"})
        changed = api(
            "PATCH", f"/mailings/{made['id']}", {"filter": {"operator_codes": ["916"]}, "window": {"to": "20:00"}}
        )
        assert changed.json["filter"] == {"operator_codes": ["916"], "tags": ["vip"]}
        assert changed.json["window"] == {"from": "09:00", "to": "20:00"}

    def test_null_takes_the_window_away(self, api: Gateway) -> None:
        made = created(api, window={"from": "09:00", "to": "21:00"})
        assert api("PATCH", f"/mailings/{made['id']}", {"window": None}).json["window"] is None

    @pytest.mark.parametrize("field", ["start_at", "end_at", "text", "filter", "on_uncertain"])
    def test_null_is_refused_where_there_must_be_something(self, api: Gateway, field: str) -> None:
        refused = api("PATCH", f"/mailings/{created(api)['id']}", {field: None})
        assert (refused.status, refused.fields) == (422, [field])

    def test_a_window_can_be_closed_by_neither_half(self, api: Gateway) -> None:
        made = created(api, window={"from": "09:00", "to": "21:00"})
        refused = api("PATCH", f"/mailings/{made['id']}", {"window": {"to": "09:00"}})
        assert (refused.status, refused.fields) == (422, ["window"])

    def test_another_start_moves_the_schedule(self, api: Gateway, scheduler: FakeScheduler) -> None:
        made = created(api)
        moved = api("PATCH", f"/mailings/{made['id']}", {"start_at": soon(minutes=90)}).json
        assert {id_: wire(start) for id_, start in scheduler.scheduled.items()} == {made["id"]: moved["start_at"]}
        api("PATCH", f"/mailings/{made['id']}", {"start_at": soon(minutes=-1)})
        assert scheduler.started == [made["id"]]

    @pytest.mark.parametrize("status", [MailingStatus.RUNNING, MailingStatus.PAUSED])
    def test_what_is_fixed_with_the_start_cannot_change_after_it(
        self, api: Gateway, built: Application, status: MailingStatus
    ) -> None:
        made = created(api, start_at=soon(hours=-1))
        put_into(built, made["id"], status)
        for change, field in (({"start_at": soon(hours=1)}, "start_at"), ({"filter": {"tags": ["x"]}}, "filter")):
            refused = api("PATCH", f"/mailings/{made['id']}", change)
            assert refused.status == 409
            assert field in refused.json["detail"]
        allowed = {"text": "x", "end_at": soon(hours=3), "window": {"from": "01:00", "to": "02:00"}}
        assert api("PATCH", f"/mailings/{made['id']}", allowed).status == 200

    @pytest.mark.parametrize("status", [MailingStatus.FINISHED, MailingStatus.CANCELLED])
    def test_what_is_over_cannot_change(self, api: Gateway, built: Application, status: MailingStatus) -> None:
        made = created(api)
        put_into(built, made["id"], status)
        refused = api("PATCH", f"/mailings/{made['id']}", {"text": "x"})
        assert (refused.status, refused.headers["Content-Type"]) == (409, "application/problem+json")
        assert status in refused.json["detail"]


def test_a_deleted_mailing_is_gone_from_everywhere(api: Gateway, built: Application, scheduler: FakeScheduler) -> None:
    made = created(api)
    assert api("DELETE", f"/mailings/{made['id']}").status == 204
    assert scheduler.scheduled == {}
    for method, path in (("DELETE", ""), ("GET", ""), ("PATCH", ""), ("GET", "/stats"), ("GET", "/messages")):
        assert api(method, f"/mailings/{made['id']}{path}", {} if method == "PATCH" else None).status == 404
    assert api("GET", "/mailings").json["items"] == []
    assert api("GET", "/mailings?status=scheduled").json["items"] == []
    kept = built.mailings.get(made["id"])
    assert kept
    assert kept.status is MailingStatus.DELETED


def test_a_mailing_is_deleted_although_its_schedule_cannot_be(api: Gateway, scheduler: FakeScheduler) -> None:
    made = created(api)
    scheduler.down = True
    assert api("DELETE", f"/mailings/{made['id']}").status == 204


@pytest.mark.parametrize("path", ["", "/stats", "/messages"])
@pytest.mark.parametrize("id_", [UNKNOWN, "x", "%F0%9F", "process"])
def test_an_id_of_no_mailing_is_not_found(api: Gateway, path: str, id_: str) -> None:
    assert api("GET", f"/mailings/{id_}{path}").status == 404


class TestListing:
    def test_pages_hold_every_mailing_once_newest_first(self, api: Gateway) -> None:
        made = [created(api)["id"] for _ in range(5)]
        for path in ("/mailings", "/mailings?status=scheduled"):
            listed = [item["id"] for page in api.pages(path, limit=2) for item in page]
            assert sorted(listed) == sorted(made)
        listed = [item["id"] for page in api.pages("/mailings", limit=500) for item in page]
        assert listed == sorted(made, reverse=True)

    def test_a_status_picks(self, api: Gateway, built: Application) -> None:
        made = [created(api)["id"] for _ in range(2)]
        put_into(built, made[0], MailingStatus.RUNNING)
        assert [item["id"] for item in api("GET", "/mailings?status=running").json["items"]] == [made[0]]

    @pytest.mark.parametrize("query", ["status=deleted", "status=", "status=Running", "status=running&status=running"])
    def test_another_status_is_refused(self, api: Gateway, query: str) -> None:
        refused = api("GET", f"/mailings?{query}")
        assert (refused.status, refused.fields) == (422, ["status"])


def test_what_is_due_is_started_however_often_it_is_asked(api: Gateway, scheduler: FakeScheduler) -> None:
    scheduler.down = True
    due = created(api, start_at=soon(minutes=-1))["id"]
    created(api)
    scheduler.down = False
    for _ in range(2):
        answer = api("POST", "/mailings/process")
        assert (answer.status, answer.json) == (202, {"mailings": [due]})
    assert scheduler.started == [due, due]
    scheduler.down = True
    assert api("POST", "/mailings/process").status == 202
