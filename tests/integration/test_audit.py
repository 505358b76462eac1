"""Every change by the API and the pages leaves its entry, whatever becomes of it."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest

from chalicelib.adapters.tables import AuditItem
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.audit import AuditEntry
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.errors import TransientError
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.redrive_dead_letters import RedriveDeadLetters
from tests.builders import ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.imports import FakeUploads
from tests.gateway import Gateway
from tests.visitor import visiting

MAILING = {
    "start_at": "2100-01-01T00:00:00Z",
    "end_at": "2100-01-02T00:00:00Z",
    "text": "A secret of ours",
    "filter": {"tags": ["vip"]},
    "draft": True,
}
CLIENT = {"phone": "79161234567", "timezone": "Europe/Moscow"}


def trail(api: Gateway, query: str = "") -> list[dict[str, Any]]:
    answer = api("GET", f"/audit{query}")
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_changes_say_who_what_when_and_from_what_to_what(api: Gateway) -> None:
    mailing = api("POST", "/mailings", MAILING).json["id"]
    api("PATCH", f"/mailings/{mailing}", {"text": "Another"})
    api("POST", f"/mailings/{mailing}/start")
    api("POST", f"/mailings/{mailing}/cancel")

    cancelled, started, patched, created = trail(api)

    assert {entry["subject"] for entry in (cancelled, started, patched, created)} == {"tester"}
    assert [entry["target"] for entry in (cancelled, started, patched, created)] == [mailing] * 4
    assert (created["action"], created["outcome"], created["via"]) == ("POST /mailings", 201, "api")
    assert started["changes"] == {"status": {"before": "draft", "after": "scheduled"}}
    assert cancelled["changes"] == {"status": {"before": "scheduled", "after": "cancelled"}}
    assert list(patched["changes"]) == ["text"]
    assert patched["changes"]["text"]["before"].startswith("16 characters, SHA-256 ")


def test_an_entry_names_the_request_by_which_the_log_has_it(api: Gateway, logged: StringIO) -> None:
    answer = api("POST", "/mailings", MAILING, headers={"X-Request-Id": "mine-1"})
    (entry,) = trail(api)
    assert entry["request_id"] == answer.headers["X-Request-Id"] == "mine-1"
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert "mailing created" in {line["message"] for line in lines if line["correlation_id"] == entry["request_id"]}


def test_an_entry_of_before_requests_were_kept_is_still_shown(api: Gateway, built: Application) -> None:
    old = {"month": {"S": "2026-01"}, "id": {"S": ulid(1)}, "subject": {"S": "ada"}, "action": {"S": "POST /clients"}}
    packed = json.dumps([built.clock().isoformat(), "api", 201, {}])
    table = AuditItem.Meta.table_name
    month = {"S": f"{built.clock():%Y-%m}"}
    built.dynamodb.client.put_item(TableName=table, Item=old | {"month": month, "entry": {"S": packed}})
    (entry,) = trail(api)
    assert (entry["subject"], entry["request_id"]) == ("ada", None)


def test_neither_texts_nor_phones_stand_in_the_trail(api: Gateway) -> None:
    api("POST", "/mailings", MAILING)
    client = api("POST", "/clients", CLIENT).json["id"]
    api("PATCH", f"/clients/{client}", {"tag": "vip"})
    api("POST", "/suppressions", {"phone": CLIENT["phone"]})
    api("DELETE", f"/suppressions/{CLIENT['phone']}")
    api("DELETE", f"/clients/{client}")

    told = api("GET", "/audit").text

    assert len(trail(api)) == 6
    assert CLIENT["phone"] not in told
    assert "secret" not in told
    assert "*******4567" in told


def test_what_was_refused_stands_there_too_and_what_changes_nothing_does_not(api: Gateway) -> None:
    assert api("POST", f"/mailings/{ulid(7)}/start").status == 404
    assert api("POST", "/mailings/preview", MAILING | {"draft": False}).status == 200
    assert api("GET", "/mailings").status == 200
    (entry,) = trail(api)
    assert (entry["target"], entry["outcome"], entry["changes"]) == (ulid(7), 404, {})


def test_the_trail_is_searched_and_read_page_by_page(api: Gateway) -> None:
    ids = [api("POST", "/mailings", MAILING).json["id"] for _ in range(3)]
    api("POST", f"/mailings/{ids[0]}/start")
    assert [entry["target"] for entry in trail(api, "?action=/start")] == [ids[0]]
    assert [entry["target"] for entry in trail(api, f"?target={ids[1]}")] == [ids[1]]
    assert trail(api, "?subject=nobody") == []
    pages = [[entry["target"] for entry in page] for page in api.pages("/audit", 3)]
    assert [target for page in pages for target in page] == [ids[0], *reversed(ids)]


class Failing:
    """A trail that cannot be written from the second entry on, or from the first."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.saved: list[AuditEntry] = []

    def save(self, entry: AuditEntry) -> None:
        if not self.left:
            raise TransientError("the table does not answer")
        self.left -= 1
        self.saved.append(entry)


@pytest.fixture
def failing(built: Application, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Failing]:
    def fail(after: int) -> Failing:
        trail = Failing(after)
        audit = type(built.audit)(trail, built.clock, built.audit.new_id)  # type: ignore[arg-type]
        monkeypatch.setitem(built.__dict__, "audit", audit)
        return trail

    return fail


def test_without_its_entry_nothing_is_done(api: Gateway, failing: Callable[[int], Failing]) -> None:
    failing(0)
    assert api("POST", "/mailings", MAILING).status == 503
    assert api("GET", "/mailings").json["items"] == []


def test_what_is_done_is_not_denied_when_its_outcome_cannot_be_stored(
    api: Gateway, failing: Callable[[int], Failing], logged: StringIO
) -> None:
    trail = failing(1)
    assert api("POST", "/mailings", MAILING).status == 201
    assert [entry.outcome for entry in trail.saved] == [None]
    assert "an audit entry has no outcome" in logged.getvalue()


def test_the_page_shows_the_trail_to_admins(api: Gateway, built: Application) -> None:
    assert "Nothing was changed yet" in visiting(api, built).look("audit").text
    api("POST", "/mailings", MAILING)
    api("POST", f"/mailings/{ulid(7)}/start")
    page = visiting(api, built).look("audit")
    assert page.status == 200
    assert "POST /mailings/{mailing_id}/start" in page.text
    assert "16 characters" in page.text
    assert "No entry matches" in visiting(api, built).look("audit?subject=nobody").text
    for role in ("viewer", "editor", "sender"):
        assert visiting(api, built, role).look("audit").status == 403  # type: ignore[arg-type]


def test_the_page_leads_to_older_entries(api: Gateway, built: Application) -> None:
    for _ in range(51):
        api("POST", f"/mailings/{ulid(7)}/start")
    first = visiting(api, built).look("audit?subject=tester").text
    older = first.partition('href="./audit?subject')[2].partition('"')[0].replace("&amp;", "&")
    assert first.count("<tr>") == 51
    assert visiting(api, built).look(f"audit?subject{older}").text.count("<tr>") == 2


def test_what_is_done_on_the_pages_stands_in_the_same_trail(api: Gateway, built: Application) -> None:
    assert visiting(api, built).post("preferences", {"language": "xx"}).status == 422
    (entry,) = trail(api)
    assert (entry["subject"], entry["via"], entry["action"], entry["outcome"]) == (
        "user|1",
        "pages",
        "POST /admin/preferences",
        422,
    )


def test_what_has_no_two_states_says_what_came_of_it(
    api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.__dict__.pop("send_test", None)
    letters = FakeDeadLetters(utc_now)
    letters.add(DeadQueue.SEND, MessagesTicket(v=1, mailing_id=ulid(7), message_ids=[1]).model_dump_json())
    mailings = CachedMailings(built.mailings, utc_now)
    again = RedriveDeadLetters(letters, mailings, built.tickets, built.scheduler, utc_now)
    monkeypatch.setitem(built.__dict__, "redrive_dead_letters", again)
    monkeypatch.setitem(built.__dict__, "uploads", FakeUploads())
    built.__dict__.pop("manage_imports", None)
    mailing = api("POST", "/mailings", MAILING).json["id"]
    client = api("POST", "/clients", CLIENT).json["id"]
    me = visiting(api, built)

    sent = me.post(f"mailings/{mailing}/test", {"phone": CLIENT["phone"], "key": ulid(8)})
    begun = me.post("clients/imports")
    assert me.look("clients/export?tag=x").status == 200
    assert me.look("clients/export?operator_code=x").status == 422
    me.post("dead-letters/redrive", {"queue": "send"})
    built.__dict__.pop("manage_imports", None)

    redriven, refused, exported, imported, test = trail(api, "?action=/admin/")
    assert (redriven["target"], list(redriven["changes"])) == ("send", ["redriven"])
    assert (refused["outcome"], refused["changes"]) == (422, {})
    assert (exported["action"], exported["changes"]) == ("GET /admin/clients/export", fact("exported", "0"))
    assert begun.headers["Location"].endswith(imported["target"])
    assert imported["changes"] == fact("kind", "clients")
    assert test["target"] == mailing
    assert test["changes"] == fact("client_id", client) | fact("message_id", sent.headers["Location"].split("/")[-1])


def fact(name: str, value: str) -> dict[str, dict[str, str | None]]:
    return {name: {"before": None, "after": value}}


def test_a_lifted_suppression_says_since_when_it_was(api: Gateway) -> None:
    api("POST", "/suppressions", {"phone": CLIENT["phone"]})
    api("DELETE", f"/suppressions/{CLIENT['phone']}")
    lifted, _ = trail(api)
    assert lifted["target"] == "*******4567"
    assert lifted["changes"]["phone"] == {"before": "*******4567", "after": None}
    assert set(lifted["changes"]) == {"phone", "created_at"}
