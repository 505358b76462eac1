from typing import Any

import pytest

from chalicelib.adapters.tables import AudienceItem, ClientItem
from chalicelib.bootstrap import Application
from tests.builders import mailing, message, ulid
from tests.gateway import Gateway
from tests.tables import items_of

CLIENT: dict[str, Any] = {"phone": "79161234567", "timezone": "Europe/Moscow"}
UNKNOWN = ulid(404)


def stored() -> list[dict[str, Any]]:
    return [item.to_dynamodb_dict() for model in (ClientItem, AudienceItem) for item in items_of(model)]


def created(api: Gateway, **changes: object) -> dict[str, Any]:
    answer = api("POST", "/clients", CLIENT | changes)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def test_a_client_is_created_and_read_back(api: Gateway) -> None:
    made = api("POST", "/clients", CLIENT | {"tag": "vip"})
    assert made.status == 201
    assert made.headers["Location"] == f"./clients/{made.json['id']}"
    assert made.json | CLIENT == made.json
    assert made.json["operator_code"] == "916"
    assert made.json.keys() == {"id", "phone", "operator_code", "tag", "timezone", "created_at", "updated_at"}
    assert made.json["created_at"].endswith("Z")
    assert api("GET", f"/clients/{made.json['id']}").json == made.json


def test_an_operator_code_may_be_another_than_that_of_the_phone(api: Gateway) -> None:
    assert created(api, operator_code="903")["operator_code"] == "903"


def test_one_of_two_clients_with_the_same_phone_is_refused(api: Gateway) -> None:
    created(api)
    before = stored()
    again = api("POST", "/clients", CLIENT | {"tag": "other"})
    assert again.status == 409
    assert "phone" in again.json["detail"]
    assert stored() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone": "89161234567"}, "phone"),
        ({"phone": "7916123456"}, "phone"),
        ({"phone": "791612345678"}, "phone"),
        ({"phone": "79161234567\n"}, "phone"),
        ({"phone": "7916123456\u0667"}, "phone"),
        ({"phone": "+79161234567"}, "phone"),
        ({"phone": 79161234567}, "phone"),
        ({"phone": None}, "phone"),
        ({"phone": ["79161234567"]}, "phone"),
        ({"operator_code": "91"}, "operator_code"),
        ({"operator_code": "9166"}, "operator_code"),
        ({"operator_code": "\u0669\u0661\u0666"}, "operator_code"),
        ({"operator_code": 916}, "operator_code"),
        ({"tag": ""}, "tag"),
        ({"tag": " "}, "tag"),
        ({"tag": "x" * 65}, "tag"),
        ({"tag": "a\x00b"}, "tag"),
        ({"tag": "a\nb"}, "tag"),
        ({"tag": "\ud800"}, "tag"),
        ({"tag": 1}, "tag"),
        ({"tag": True}, "tag"),
        ({"timezone": "Moscow"}, "timezone"),
        ({"timezone": "europe/moscow"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "+25:00"}, "timezone"),
        ({"timezone": "x" * 100_000}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"timezone": 3}, "timezone"),
        ({"id": ulid(1)}, "id"),
        ({"created_at": "2026-11-23T06:00:00Z"}, "created_at"),
        ({"": 1}, "body"),
        ({"\ud800": 1}, "body"),
        ({"вид": 1}, "вид"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(api: Gateway, change: dict[str, Any], field: str) -> None:
    refused = api("POST", "/clients", CLIENT | change)
    assert refused.status == 422, refused.text
    assert refused.fields == [field]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert stored() == []


@pytest.mark.parametrize("missing", CLIENT)
def test_a_missing_field_is_named(api: Gateway, missing: str) -> None:
    refused = api("POST", "/clients", {name: value for name, value in CLIENT.items() if name != missing})
    assert (refused.status, refused.fields) == (422, [missing])


def test_a_null_operator_code_means_the_default(api: Gateway) -> None:
    assert created(api, operator_code=None)["operator_code"] == "916"


class TestChanging:
    def test_named_fields_change_and_the_others_stay(self, api: Gateway) -> None:
        made = created(api, tag="vip")
        changed = api("PATCH", f"/clients/{made['id']}", {"timezone": "+05:00"})
        assert changed.status == 200
        assert changed.json == made | {"timezone": "+05:00", "updated_at": changed.json["updated_at"]}
        assert api("GET", f"/clients/{made['id']}").json == changed.json

    def test_nothing_named_changes_nothing(self, api: Gateway) -> None:
        made = created(api, tag="vip")
        assert api("PATCH", f"/clients/{made['id']}", {}).json == made

    def test_null_takes_the_tag_away(self, api: Gateway) -> None:
        made = created(api, tag="vip")
        assert api("PATCH", f"/clients/{made['id']}", {"tag": None}).json["tag"] is None
        assert api("GET", "/clients?tag=vip").json["items"] == []

    @pytest.mark.parametrize("field", ["phone", "operator_code", "timezone"])
    def test_null_is_refused_where_there_must_be_something(self, api: Gateway, field: str) -> None:
        made = created(api)
        before = stored()
        refused = api("PATCH", f"/clients/{made['id']}", {field: None})
        assert (refused.status, refused.fields) == (422, [field])
        assert stored() == before

    def test_a_new_phone_frees_the_old_one(self, api: Gateway) -> None:
        made = created(api)
        moved = api("PATCH", f"/clients/{made['id']}", {"phone": "79030000001"})
        assert (moved.status, moved.json["operator_code"]) == (200, "903")
        assert api("GET", "/clients?phone=79030000001").json["items"] == [moved.json]
        assert created(api)["id"] != made["id"]

    def test_an_operator_code_of_ones_own_stays_with_a_new_phone(self, api: Gateway) -> None:
        made = created(api, operator_code="999")
        assert api("PATCH", f"/clients/{made['id']}", {"phone": "79030000001"}).json["operator_code"] == "999"

    def test_the_phone_of_another_is_refused(self, api: Gateway) -> None:
        created(api)
        made = created(api, phone="79160000002")
        before = stored()
        refused = api("PATCH", f"/clients/{made['id']}", {"phone": CLIENT["phone"], "tag": "x"})
        assert refused.status == 409
        assert "phone" in refused.json["detail"]
        assert stored() == before

    @pytest.mark.parametrize("field", ["id", "created_at", "version", "unknown"])
    def test_an_unknown_field_is_refused(self, api: Gateway, field: str) -> None:
        refused = api("PATCH", f"/clients/{created(api)['id']}", {field: "x"})
        assert (refused.status, refused.fields) == (422, [field])


def test_a_deleted_client_is_gone_and_leaves_no_phone(api: Gateway) -> None:
    made = created(api, tag="vip")
    gone = api("DELETE", f"/clients/{made['id']}")
    assert (gone.status, gone.text) == (204, "")
    assert stored() == []
    assert api("DELETE", f"/clients/{made['id']}").status == 404
    assert api("GET", f"/clients/{made['id']}").status == 404
    assert api("PATCH", f"/clients/{made['id']}", {}).status == 404
    created(api)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("id_", [UNKNOWN, UNKNOWN.lower(), "x", "phone%2379161234567", "%FF", "%00", "..", "1" * 5000])
def test_an_id_of_no_client_is_not_found(api: Gateway, method: str, id_: str) -> None:
    created(api)
    answer = api(method, f"/clients/{id_}", {} if method == "PATCH" else None)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


class TestListing:
    def test_pages_hold_every_client_once(self, api: Gateway) -> None:
        made = {created(api, phone=f"7916000000{n}")["id"] for n in range(7)}
        pages = list(api.pages("/clients", limit=3))
        assert all(len(page) <= 3 for page in pages)
        listed = [client["id"] for page in pages for client in page]
        assert sorted(listed) == sorted(made)

    def test_filters_must_all_hold(self, api: Gateway) -> None:
        both = created(api, tag="vip")
        created(api, phone="79030000001", tag="vip")
        created(api, phone="79160000002")
        found = list(api.pages("/clients?operator_code=916&tag=vip", limit=500))
        assert [client for page in found for client in page] == [both]

    def test_a_tag_may_hold_any_character_that_shows(self, api: Gateway) -> None:
        made = created(api, tag="a#01 & ж+")
        created(api, phone="79160000002", tag="a")
        assert api("GET", "/clients?tag=a%2301%20%26%20%D0%B6%2B").json["items"] == [made]

    def test_a_client_is_found_by_phone(self, api: Gateway) -> None:
        made = created(api)
        assert api("GET", "/clients?phone=79161234567").json == {"items": [made], "next": None}
        assert api("GET", "/clients?phone=79161234567&operator_code=903").json == {"items": [], "next": None}
        assert api("GET", "/clients?phone=79160000000").json == {"items": [], "next": None}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=1.0", "limit"),
            ("limit=%2B1", "limit"),
            ("limit=%D9%A3", "limit"),
            ("limit=5%0A", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=", "cursor"),
            ("cursor=abc", "cursor"),
            ("cursor=%D0%B6", "cursor"),
            ("cursor=" + "A" * 3000, "cursor"),
            ("phone=7916", "phone"),
            ("phone=79161234567%0A", "phone"),
            ("operator_code=9", "operator_code"),
            ("tag=", "tag"),
            ("tag=%00", "tag"),
            ("timezone=UTC", "timezone"),
            ("Limit=5", "Limit"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, api: Gateway, query: str, field: str) -> None:
        refused = api("GET", f"/clients?{query}")
        assert (refused.status, refused.fields) == (422, [field])

    def test_a_cursor_is_good_for_its_own_list_only(self, api: Gateway) -> None:
        for n in range(3):
            created(api, phone=f"7916000000{n}", tag="vip")
        cursor = api("GET", "/clients?limit=1").json["next"]
        assert api("GET", f"/clients?limit=2&cursor={cursor}").status == 200
        flipped = ("B" if cursor[9] != "B" else "C").join([cursor[:9], cursor[10:]])
        for query in (
            f"cursor={cursor[:-1]}",
            f"cursor={cursor[1:]}",
            f"cursor={cursor}A",
            f"cursor={cursor}%3D",
            f"cursor={flipped}",
            f"tag=vip&cursor={cursor}",
        ):
            refused = api("GET", f"/clients?{query}")
            assert (refused.status, refused.fields) == (422, ["cursor"]), query
        assert api("GET", f"/mailings?cursor={cursor}").fields == ["cursor"]


def test_no_single_address_takes_parameters(api: Gateway) -> None:
    id_ = created(api)["id"]
    for method, path, body in (
        ("POST", "/clients", CLIENT),
        ("GET", f"/clients/{id_}", None),
        ("PATCH", f"/clients/{id_}", {"tag": "x"}),
        ("DELETE", f"/clients/{id_}", None),
    ):
        refused = api(method, f"{path}?dry=1", body)
        assert (refused.status, refused.fields) == (422, ["dry"])


def test_the_messages_of_a_client_are_listed(api: Gateway, built: Application) -> None:
    made = created(api)
    for mailing_id in (ulid(100), ulid(101), ulid(102)):
        built.messages.plan(mailing(id=mailing_id), [message(mailing_id=mailing_id, client_id=made["id"])])
    listed = [item for page in api.pages(f"/clients/{made['id']}/messages", limit=2) for item in page]
    assert sorted(item["mailing_id"] for item in listed) == [ulid(100), ulid(101), ulid(102)]
    assert api("GET", f"/clients/{UNKNOWN}/messages").status == 404
