from typing import Any

import pytest

from chalicelib.adapters.tables import AudienceItem, ClientItem, MailingItem, MessageItem, SuppressionItem
from chalicelib.bootstrap import Application, utc_now
from chalicelib.config import Settings
from chalicelib.domain.mailing import MailingStatus
from tests.builders import mailing, message, ulid
from tests.gateway import Gateway
from tests.integration.conftest import SETTINGS
from tests.tables import items_of

PHONE = "79161234567"
CLIENT = {"phone": PHONE, "timezone": "Europe/Moscow"}


def suppress(api: Gateway, phone: str = PHONE) -> dict[str, Any]:
    answer = api("POST", "/suppressions", {"phone": phone})
    assert answer.status == 201, answer.text
    shown: dict[str, Any] = answer.json
    assert answer.headers["Location"] == f"./suppressions/{phone}"
    return shown


def test_a_phone_is_suppressed_and_read(api: Gateway) -> None:
    shown = suppress(api)
    assert shown.keys() == {"phone", "created_at"}
    assert shown["phone"] == PHONE
    assert api("GET", f"/suppressions/{PHONE}").json == shown
    assert api("GET", "/suppressions").json == {"items": [shown], "next": None}


def test_again_it_is_answered_as_it_is(api: Gateway) -> None:
    assert suppress(api) == suppress(api)
    assert len(items_of(SuppressionItem)) == 1


def test_lifted_once_and_then_not_found(api: Gateway) -> None:
    suppress(api)
    answer = api("DELETE", f"/suppressions/{PHONE}")
    assert (answer.status, answer.text) == (204, "")
    for method in ("GET", "DELETE"):
        assert api(method, f"/suppressions/{PHONE}").status == 404


def test_all_are_listed_page_by_page(api: Gateway) -> None:
    phones = {f"7916000{n:04d}" for n in range(30)}
    for phone in phones:
        suppress(api, phone)
    pages = list(api.pages("/suppressions", limit=7))
    assert all(len(page) <= 7 for page in pages)
    listed = [each["phone"] for page in pages for each in page]
    assert len(listed) == 30
    assert set(listed) == phones


def test_the_open_messages_of_who_opts_out_are_cancelled_and_counted(api: Gateway, built: Application) -> None:
    client_id = api("POST", "/clients", CLIENT).json["id"]
    now = utc_now()
    running = mailing(status=MailingStatus.RUNNING, planned_at=now, started_at=now)
    built.mailings.create(running)
    (row,) = built.messages.plan(running, [message(mailing_id=running.id, client_id=client_id)])

    suppress(api)

    shown = api("GET", f"/messages/{row.id}").json
    assert (shown["status"], shown["reason"]) == ("cancelled", "suppressed")
    statistics = api("GET", f"/mailings/{running.id}/stats").json
    assert statistics["messages"]["cancelled"] == 1
    assert statistics["reasons"]["cancelled"] == {"suppressed": 1}
    assert "opted out" in api("GET", f"/messages/{row.id}/explain").json["explanation"]


def test_a_client_is_shown_as_ever_and_listed_although_suppressed(api: Gateway) -> None:
    suppress(api)
    created = api("POST", "/clients", CLIENT)
    assert created.status == 201
    assert created.json.keys() == {"id", "phone", "operator_code", "tag", "timezone", "created_at", "updated_at"}
    assert api("GET", "/clients?operator_code=916").json["items"] == [created.json]


@pytest.mark.parametrize(
    "body", [{}, {"phone": "7916"}, {"phone": 79161234567}, {"phone": PHONE + "\n"}, {"phone": None}]
)
def test_what_is_no_phone_is_refused_by_name(api: Gateway, body: object) -> None:
    answer = api("POST", "/suppressions", body)
    assert (answer.status, answer.fields) == (422, ["phone"])
    assert items_of(SuppressionItem) == []


def test_what_is_unknown_is_refused_by_name(api: Gateway) -> None:
    assert api("POST", "/suppressions", {"phone": PHONE, "reason": "x"}).fields == ["reason"]
    assert api("GET", "/suppressions?phone=1").fields == ["phone"]
    assert api("GET", "/suppressions?cursor=x").fields == ["cursor"]


@pytest.mark.parametrize("phone", ["1", "7916123456%0A", "x", "79161234567x", "%2B79161234567"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_no_phone_is_not_suppressed(api: Gateway, method: str, phone: str) -> None:
    assert api(method, f"/suppressions/{phone}").status == 404


def test_another_method_is_named(api: Gateway) -> None:
    answer = api("POST", f"/suppressions/{PHONE}")
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD")


# Preview and test


def body(**changes: object) -> dict[str, object]:
    now = utc_now()
    later = mailing().end_at - mailing().start_at
    return {"start_at": now.isoformat(), "end_at": (now + later).isoformat(), "text": "Hello", **changes}


def test_a_preview_says_all_there_is_to_say_and_stores_nothing(api: Gateway) -> None:
    for n, zone in enumerate(["Europe/Moscow", "Europe/Moscow", "Asia/Tokyo", "Asia/Tokyo"]):
        assert api("POST", "/clients", {"phone": f"7916000000{n}", "timezone": zone}).status == 201
    suppress(api, "79160000003")
    before = [len(items_of(model)) for model in (ClientItem, AudienceItem)]

    given = body(text="Я" * 71, draft=True)
    answer = api("POST", "/mailings/preview", given)

    assert answer.status == 200, answer.text
    opens_at = answer.json["opens_at"]["Asia/Tokyo"]
    assert answer.json == {
        "audience": 3,
        "suppressed": 1,
        "estimated": False,
        "by_timezone": {"Europe/Moscow": 2, "Asia/Tokyo": 1},
        "opens_at": {"Europe/Moscow": opens_at, "Asia/Tokyo": opens_at},
        "sms_parts": 2,
        "sms_encoding": "UCS-2",
        "reachable": 3,
        "unreachable": 0,
        "unreachable_reasons": {"too_late": 0, "window": 0, "timezone": 0, "rate": 0},
        "cost": None,
        "currency": None,
    }
    assert items_of(MailingItem) == items_of(MessageItem) == []
    assert [len(items_of(model)) for model in (ClientItem, AudienceItem)] == before


def test_a_preview_has_a_cost_where_there_is_a_price(
    api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_env({**SETTINGS, "SMS_PART_PRICE": "0.050", "CURRENCY": "EUR"})
    monkeypatch.setattr(built, "settings", settings)
    monkeypatch.delitem(built.__dict__, "preview_mailing", raising=False)
    assert api("POST", "/clients", CLIENT).status == 201
    told = api("POST", "/mailings/preview", body()).json
    assert (told["cost"], told["currency"]) == ("0.050", "EUR")
    monkeypatch.delitem(built.__dict__, "preview_mailing")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"end_at": "2020-01-01T00:00:00Z"}, "end_at"),
        ({"text": ""}, "text"),
        ({"window": {"from": "09:00", "to": "09:00"}}, "window"),
        ({"filter": {"tags": [""]}}, "filter.tags.0"),
        ({"price": 1}, "price"),
    ],
)
def test_what_could_not_be_created_cannot_be_previewed(api: Gateway, changes: dict[str, object], field: str) -> None:
    for path in ("/mailings/preview", "/mailings"):
        answer = api("POST", path, body(**changes))
        assert (answer.status, answer.fields) == (422, [field])


def test_a_test_is_accepted_with_its_message(api: Gateway, built: Application) -> None:
    client_id = api("POST", "/clients", CLIENT).json["id"]
    draft = api("POST", "/mailings", body(draft=True)).json

    answer = api("POST", f"/mailings/{draft['id']}/test", {"client_id": client_id})

    assert answer.status == 202, answer.text
    shown = answer.json
    assert (shown["status"], shown["client_id"]) == ("queued", client_id)
    assert api("GET", f"/messages/{shown['id']}").json == shown
    assert api("GET", f"/messages/{shown['id']}/explain").json["next"] == "send"
    assert [ticket.message_ids for ticket in built.tickets.deliver_messages()] == [[shown["id"]]]  # type: ignore[attr-defined]
    hidden = api("GET", f"/mailings/{shown['mailing_id']}").json
    assert (hidden["text"], hidden["status"]) == (draft["text"], "running")
    assert api("GET", "/mailings").json["items"] == [draft]
    assert api("GET", "/mailings?status=running").json["items"] == []
    assert api("GET", "/stats").json["totals"]["total"] == 0


def test_who_opted_out_gets_no_test(api: Gateway) -> None:
    client_id = api("POST", "/clients", CLIENT).json["id"]
    draft = api("POST", "/mailings", body(draft=True)).json["id"]
    suppress(api)
    answer = api("POST", f"/mailings/{draft}/test", {"client_id": client_id})
    assert answer.status == 409
    assert "suppressed" in answer.json["detail"]
    assert items_of(MessageItem) == []


@pytest.mark.parametrize("given", [{}, {"client_id": ulid(9)}, {"client_id": "x"}, {"client_id": None}])
def test_a_client_who_is_not_there_is_named(api: Gateway, given: dict[str, object]) -> None:
    draft = api("POST", "/mailings", body(draft=True)).json["id"]
    answer = api("POST", f"/mailings/{draft}/test", given)
    assert (answer.status, answer.fields) == (422, ["client_id"])
    assert items_of(MessageItem) == []


def test_what_is_not_there_cannot_be_tested(api: Gateway) -> None:
    assert api("POST", f"/mailings/{ulid(9)}/test", {"client_id": ulid(1)}).status == 404
