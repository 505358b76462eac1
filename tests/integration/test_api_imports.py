from collections.abc import Iterator
from datetime import timedelta

import pytest

from app import importer
from chalicelib.bootstrap import Application
from chalicelib.domain.bulk_import import ImportStatus
from tests.builders import ulid
from tests.fakes.imports import FakeUploads
from tests.fakes.queues import FakeTicketQueue
from tests.gateway import Answer, Gateway
from tests.import_world import csv_of, phones

EMPTY: dict[str, object] = {"items": [], "next": None}


@pytest.fixture
def uploads(built: Application) -> Iterator[FakeUploads]:
    """Put files in memory in the place of S3's, and build anew what is built of them."""
    fake = FakeUploads()
    built.__dict__["uploads"] = fake
    built.__dict__.pop("manage_imports", None)
    yield fake
    for part in ("uploads", "manage_imports"):
        built.__dict__.pop(part, None)


class Context:
    """What a function is told of its run."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def run(import_id: str) -> None:
    body = f'{{"v": 1, "import_ids": ["{import_id}"]}}'
    report = importer({"Records": [{"messageId": "one", "body": body}]}, Context())
    assert report == {"batchItemFailures": []}


def begin(api: Gateway, uploads: FakeUploads, content: str, kind: str = "clients") -> str:
    created = api("POST", f"/{kind}/imports")
    assert created.status == 201, created.text
    uploads.files[created.json["id"]] = content.encode()
    return str(created.json["id"])


def look(api: Gateway, import_id: str, query: str = "", kind: str = "clients") -> Answer:
    return api("GET", f"/{kind}/imports/{import_id}{query}")


def test_an_import_is_begun_with_a_form_for_its_file(api: Gateway, built: Application, uploads: FakeUploads) -> None:
    answer = api("POST", "/clients/imports")
    body = answer.json
    assert (answer.status, answer.headers["Location"]) == (201, f"./imports/{body['id']}")
    upload = body.pop("upload")
    assert upload["fields"] == uploads.form(body["id"], 209_715_200, timedelta(hours=1)).fields
    assert upload["max_bytes"] == 209_715_200
    stored = built.imports.get(body["id"])
    assert stored
    assert stored.status is ImportStatus.WAITING
    assert body == {
        "id": stored.id,
        "kind": "clients",
        "status": "waiting",
        "failure": None,
        "created_at": body["created_at"],
        "started_at": None,
        "finished_at": None,
        "progress": {
            "bytes": 0,
            "bytes_total": None,
            "rows": 0,
            "created": 0,
            "changed": 0,
            "unchanged": 0,
            "refused": 0,
        },
        "refused_rows": EMPTY,
    }
    assert look(api, stored.id).json == body | {"upload": None}


def test_what_came_of_the_rows_is_shown(api: Gateway, uploads: FakeUploads, tickets: FakeTicketQueue) -> None:
    good = [f"{phone},Asia/Omsk," for phone in phones(3)]
    content = csv_of([*good, "7916,Asia/Omsk,", *good, "x,y,z"])
    import_id = begin(api, uploads, content)
    run(import_id)
    shown = look(api, import_id, "?limit=1").json
    assert (shown["status"], shown["failure"]) == ("finished", None)
    assert shown["progress"] == {
        "bytes": len(content),
        "bytes_total": len(content),
        "rows": 8,
        "created": 3,
        "changed": 0,
        "unchanged": 3,
        "refused": 2,
    }
    pattern = "String should match pattern '^7[0-9]{10}$'"
    assert shown["refused_rows"]["items"] == [{"line": 5, "field": "phone", "reason": pattern}]
    rest = look(api, import_id, f"?limit=1&cursor={shown['refused_rows']['next']}").json["refused_rows"]
    assert ([row["line"] for row in rest["items"]], rest["next"]) == ([9], None)
    assert "7916" not in look(api, import_id).text
    assert {one["phone"] for one in api("GET", "/clients").json["items"]} == set(phones(3))
    assert (tickets.dead, tickets.imports) == ([], [])


def test_an_import_that_failed_says_why(api: Gateway, uploads: FakeUploads) -> None:
    import_id = begin(api, uploads, "phone\n")
    run(import_id)
    shown = look(api, import_id).json
    assert shown["status"] == "failed"
    assert shown["failure"].startswith("the header lacks timezone")
    assert shown["finished_at"]


def test_suppressed_phones_are_imported(api: Gateway, uploads: FakeUploads) -> None:
    one, other, *_ = phones(3)
    assert api("POST", "/clients", {"phone": one, "timezone": "Asia/Omsk"}).status == 201
    api("POST", "/suppressions", {"phone": other})
    import_id = begin(api, uploads, csv_of([*phones(3), "7916"], header="phone"), "suppressions")
    run(import_id)
    shown = look(api, import_id, kind="suppressions").json
    assert (shown["kind"], shown["status"]) == ("suppressions", "finished")
    counts = {name: shown["progress"][name] for name in ("rows", "created", "changed", "unchanged", "refused")}
    assert counts == {"rows": 4, "created": 2, "changed": 0, "unchanged": 1, "refused": 1}
    assert [(row["line"], row["field"]) for row in shown["refused_rows"]["items"]] == [(5, "phone")]
    assert {each["phone"] for each in api("GET", "/suppressions").json["items"]} == {*phones(3)}


@pytest.mark.parametrize(("kind", "other"), [("clients", "suppressions"), ("suppressions", "clients")])
def test_an_import_is_not_found_under_another_kind(api: Gateway, uploads: FakeUploads, kind: str, other: str) -> None:
    import_id = begin(api, uploads, "", kind)
    assert look(api, import_id, kind=kind).json["kind"] == kind
    assert look(api, import_id, kind=other).status == 404


@pytest.mark.usefixtures("uploads")
def test_what_is_wrong_with_a_request_is_named(api: Gateway) -> None:
    assert look(api, ulid(7)).status == 404
    assert look(api, "x").status == 404
    import_id = api("POST", "/clients/imports").json["id"]
    assert look(api, import_id, "?limit=0").fields == ["limit"]
    assert look(api, import_id, "?cursor=x").fields == ["cursor"]
    assert api("POST", "/clients/imports", {"file": "x"}).fields == ["file"]
    assert Gateway()("POST", "/clients/imports").status == 401
