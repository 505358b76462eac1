import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from pynamodb.models import Model

from chalicelib.adapters.kept_answers import KEPT, KeptAnswers
from chalicelib.adapters.tables import ClientItem, MailingItem
from chalicelib.api import middleware, resource
from chalicelib.api.auth import Principal
from chalicelib.api.schemas import write_moment
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import Application, utc_now
from tests.aws_errors import answered, error, without_transport_retries
from tests.fakes.clock import FakeClock
from tests.gateway import Answer, Gateway
from tests.running_stack import poll
from tests.tables import items_of
from tests.tokens import TOKEN

CLIENT: dict[str, Any] = {"phone": "79161234567", "timezone": "Europe/Moscow"}
KEY = {"Idempotency-Key": "5f6b8d1e-0d0c-4a57-9a53-0f3f0a2d9f10"}
TABLE = "test-control"


def draft() -> dict[str, Any]:
    start_at = utc_now() + timedelta(hours=1)
    end_at = start_at + timedelta(hours=1)
    return {"start_at": write_moment(start_at), "end_at": write_moment(end_at), "text": "a secret word", "draft": True}


def everything() -> list[dict[str, Any]]:
    """Read the whole table."""
    items: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName=TABLE, ConsistentRead=True)["Items"]
    return items


def kept() -> list[dict[str, Any]]:
    """Read what is kept of answers, as it lies in the table."""
    return [item for item in everything() if "asked" in item]


def same(first: Answer, again: Answer) -> None:
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers == first.headers | {"Idempotency-Replayed": "true"}


def test_a_request_that_is_sent_again_is_done_once_and_answered_the_same(api: Gateway) -> None:
    body = draft()
    first = api("POST", "/mailings", body, headers=KEY)
    again = api("POST", "/mailings", body, headers=KEY)
    assert first.status == 201
    assert "Idempotency-Replayed" not in first.headers
    assert {"Location", "ETag"} <= first.headers.keys()
    same(first, again)
    assert len(items_of(MailingItem)) == 1


def test_controls_heed_keys_although_they_have_no_body(api: Gateway) -> None:
    mailing = api("POST", "/mailings", draft()).json["id"]
    first = api("POST", f"/mailings/{mailing}/start", headers=KEY)
    assert first.status == 200
    same(first, api("POST", f"/mailings/{mailing}/start", headers=KEY))
    assert api("POST", f"/mailings/{mailing}/start").status == 409


def test_an_accepted_request_is_answered_the_same(api: Gateway) -> None:
    first = api("POST", "/mailings/process", headers=KEY)
    assert first.status == 202
    same(first, api("POST", "/mailings/process", headers=KEY))


def test_another_body_is_refused_and_the_header_named(api: Gateway) -> None:
    first = api("POST", "/clients", CLIENT, headers=KEY)
    refused = api("POST", "/clients", CLIENT | {"phone": "79160000002"}, headers=KEY)
    assert (refused.status, refused.fields) == (422, ["Idempotency-Key"])
    assert len(next(api.pages("/clients", 500))) == 1
    same(first, api("POST", "/clients", CLIENT, headers=KEY))


def test_without_a_key_nothing_is_kept(api: Gateway) -> None:
    assert api("POST", "/clients", CLIENT).status == 201
    assert api("POST", "/clients", CLIENT).status == 409
    assert kept() == []


def test_a_key_counts_for_its_own_path_only(api: Gateway) -> None:
    one, two = (api("POST", "/mailings", draft()).json["id"] for _ in range(2))
    assert api("POST", f"/mailings/{one}/start", headers=KEY).json["id"] == one
    other = api("POST", f"/mailings/{two}/start", headers=KEY)
    assert (other.status, other.json["id"]) == (200, two)
    assert api("POST", f"/mailings/{one}/cancel", headers=KEY).json["status"] == "cancelled"


def test_a_key_counts_for_its_own_subject_only(api: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api("POST", "/clients", CLIENT, headers=KEY)
    with monkeypatch.context() as patch:
        patch.setattr(middleware, "authenticate", lambda *_: Principal("another", frozenset(Scope)))
        refused = api("POST", "/clients", CLIENT, headers=KEY)
    assert (refused.status, "phone" in refused.json["detail"]) == (409, True)
    same(first, api("POST", "/clients", CLIENT, headers=KEY))


def test_other_methods_know_no_keys(api: Gateway) -> None:
    made = api("POST", "/clients", CLIENT).json["id"]
    for tag in ("a", "b"):
        assert api("PATCH", f"/clients/{made}", {"tag": tag}, headers=KEY).json["tag"] == tag
    assert api("GET", f"/clients/{made}", headers=KEY).status == 200
    assert kept() == []


@pytest.mark.parametrize("key", ["", " ", "a b", "ж", "a\x00", "a\r\nX-Injected: 1", "a\n", "\x7f", "k" * 256])
def test_a_key_that_is_none_is_named_and_nothing_is_done(api: Gateway, key: str) -> None:
    refused = api("POST", "/clients", CLIENT, headers={"Idempotency-Key": key})
    assert (refused.status, refused.fields) == (422, ["Idempotency-Key"])
    assert items_of(ClientItem) == []


@pytest.mark.parametrize("key", ["1", "k" * 255, '"!~', "8e03978e-40d5-43e8-bc93-6894a57f9324"])
def test_any_visible_ascii_is_a_key(api: Gateway, key: str) -> None:
    headers = {"idempotency-key": key}
    same(api("POST", "/clients", CLIENT, headers=headers), api("POST", "/clients", CLIENT, headers=headers))


def test_what_was_refused_is_not_kept_so_that_the_key_is_good_for_the_mended_request(api: Gateway) -> None:
    taken = api("POST", "/clients", CLIENT).json["id"]
    assert api("POST", "/clients", CLIENT, headers=KEY).status == 409
    assert api("POST", "/clients", {"phone": "x"}, headers=KEY).status == 422
    late = draft() | {"start_at": "2020-01-01T00:00:00Z", "end_at": "2020-01-02T00:00:00Z"}
    assert api("POST", "/mailings", late, headers=KEY).status == 422
    assert kept() == []
    api("DELETE", f"/clients/{taken}")
    made = api("POST", "/clients", CLIENT, headers=KEY)
    assert made.status == 201
    same(made, api("POST", "/clients", CLIENT, headers=KEY))


def test_a_failure_of_ours_is_not_kept(api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(built.__dict__, "manage_clients", None)
        assert api("POST", "/clients", CLIENT, headers=KEY).status == 500
    assert api("POST", "/clients", CLIENT, headers=KEY).status == 201


def test_a_request_in_progress_is_not_begun_again(api: Gateway, built: Application) -> None:
    met: list[Answer] = []
    create = built.manage_clients.create

    def slowly(*new: Any) -> Any:  # noqa: ANN401 - of the use case
        met.append(api("POST", "/clients", CLIENT, headers=KEY))
        return create(*new)

    built.__dict__["manage_clients"] = SimpleNamespace(create=slowly)
    first = api("POST", "/clients", CLIENT, headers=KEY)
    del built.__dict__["manage_clients"]

    assert first.status == 201
    (refused,) = met
    assert (refused.status, refused.headers["Retry-After"]) == (409, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    same(first, api("POST", "/clients", CLIENT, headers=KEY))


class Killed(BaseException):
    """What a process that is killed in the middle leaves behind: nothing that it would have done later."""


def die(*_: object) -> None:
    raise Killed


@pytest.fixture
def brief(api: Gateway) -> Gateway:  # noqa: ARG001 - the application
    """Call functions that have a second and a half."""
    return Gateway(TOKEN, milliseconds=1500)


def free_again(post: Callable[[], Answer]) -> Answer:
    """Repeat a request until its key is free."""
    assert post().status == 409
    return poll(post, until=lambda answer: answer.status != 409, deadline_seconds=20)


def test_a_function_that_is_killed_frees_its_key_with_its_timeout(
    brief: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(built.__dict__, "manage_clients", SimpleNamespace(create=die))
    with pytest.raises(Killed):
        brief("POST", "/clients", CLIENT, headers=KEY)
    monkeypatch.undo()

    assert free_again(lambda: brief("POST", "/clients", CLIENT, headers=KEY)).status == 201


@pytest.mark.parametrize(("path", "model"), [("/clients", ClientItem), ("/mailings", MailingItem)])
def test_what_a_killed_function_has_created_is_not_created_again(
    brief: Gateway, monkeypatch: pytest.MonkeyPatch, path: str, model: type[Model]
) -> None:
    body = CLIENT if path == "/clients" else draft() | {"draft": False}
    monkeypatch.setattr(resource, "_response", die)  # all is done but to answer
    with pytest.raises(Killed):
        brief("POST", path, body, headers=KEY)
    monkeypatch.undo()
    stored = [item.to_dynamodb_dict() for item in items_of(model)]
    assert stored

    made = free_again(lambda: brief("POST", path, body, headers=KEY))

    assert made.status == 201
    assert [item.to_dynamodb_dict() for item in items_of(model)] == stored
    same(made, brief("POST", path, body, headers=KEY))


def test_the_id_of_what_a_key_created_is_forgotten_after_a_day(built: Application) -> None:
    clock = FakeClock()
    answers = KeptAnswers(built.dynamodb, clock)
    scope = ("subject", "/clients", "key")
    assert answers.id_for(scope, b"{}", "a") == "a"
    clock.advance(KEPT - timedelta(seconds=1))
    assert answers.id_for(scope, b"{}", "b") == "a"
    assert answers.id_for(scope, b"[]", "c") == "c"
    assert answers.id_for(("other", *scope[1:]), b"{}", "d") == "d"
    clock.advance(timedelta(seconds=2))
    assert answers.id_for(scope, b"{}", "e") == "e"
    assert answers.id_for(scope, b"{}", "f") == "e"


def test_an_answer_is_kept_for_a_day(api: Gateway) -> None:
    api("POST", "/clients", CLIENT, headers=KEY)
    assert len(everything()) == 2  # the answer, and the id of what was created
    for item in everything():
        left = int(item["expires_at"]["N"]) - time.time()
        assert 86_400 - 60 < left <= 86_400
        boto3.client("dynamodb").update_item(
            TableName=TABLE,
            Key={"name": item["name"]},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
        )
    assert api("POST", "/clients", CLIENT, headers=KEY).status == 409  # done anew: the phone is taken


def test_what_is_kept_tells_nothing_to_who_does_not_have_the_key(api: Gateway, logged: StringIO) -> None:
    client = api("POST", "/clients", CLIENT, headers=KEY).json
    mailing = api("POST", "/mailings", draft(), headers=KEY).json
    assert len(kept()) == 2
    found = json.dumps(everything()) + logged.getvalue()
    assert not [word for word in (CLIENT["phone"], mailing["text"], KEY["Idempotency-Key"]) if word in found]
    api("DELETE", f"/clients/{client['id']}")
    assert CLIENT["phone"] not in json.dumps(everything())


@contextmanager
def refusing(client: Any, operation: str, about: str) -> Iterator[None]:  # noqa: ANN401 - boto3's clients are made at run time
    """Have the control table refuse an operation, if its request names this, before it takes effect."""

    def refuse(params: dict[str, Any], **_: object) -> tuple[Any, dict[str, Any]] | None:
        body = params["body"].decode()
        if json.loads(body)["TableName"] != TABLE or about not in body:
            return None
        return SimpleNamespace(status_code=400), {"Error": {"Code": "ThrottlingException", "Message": "slower"}}

    event = f"before-call.dynamodb.{operation}"
    client.meta.events.register(event, refuse)
    try:
        yield
    finally:
        client.meta.events.unregister(event, refuse)


@pytest.mark.parametrize(("operation", "about"), [("PutItem", "INPROGRESS"), ("UpdateItem", "created_id")])
def test_a_table_that_does_not_answer_keeps_everything_undone(
    api: Gateway, built: Application, operation: str, about: str
) -> None:
    with refusing(built.dynamodb.client, operation, about):
        refused = api("POST", "/clients", CLIENT, headers=KEY)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert items_of(ClientItem) == []
    assert api("POST", "/clients", CLIENT, headers=KEY).status == 201


def test_a_key_whose_writing_is_in_doubt_is_taken_and_nothing_is_done(api: Gateway, built: Application) -> None:
    dynamodb = built.dynamodb.client
    with (
        without_transport_retries(dynamodb, "PutItem"),
        answered(dynamodb, "PutItem", error("InternalServerError"), table=TABLE),  # although it takes effect
    ):
        assert api("POST", "/clients", CLIENT, headers=KEY).status == 503
    assert api("POST", "/clients", CLIENT, headers=KEY).status == 409
    assert items_of(ClientItem) == []


@pytest.mark.parametrize(
    ("operation", "about", "body", "status"),
    [("UpdateItem", "COMPLETED", CLIENT, 201), ("DeleteItem", "", CLIENT | {"phone": "79160000002"}, 409)],
)
def test_what_was_done_is_answered_although_the_answer_cannot_be_kept(
    api: Gateway,
    built: Application,
    logged: StringIO,
    operation: str,
    about: str,
    body: dict[str, Any],
    status: int,
) -> None:
    api("POST", "/clients", CLIENT | {"phone": "79160000002"})
    with refusing(built.dynamodb.client, operation, about):
        answer = api("POST", "/clients", body, headers=KEY)
    assert answer.status == status
    assert "answer not kept" in logged.getvalue()
    again = api("POST", "/clients", body, headers=KEY)
    assert (again.status, again.json["detail"]) == (409, "a request with this key is being answered")
