import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import boto3
import pytest

from chalicelib.adapters.tables import ClientItem
from chalicelib.api import OPERATIONS
from chalicelib.api.openapi import document
from chalicelib.api.schemas import write_moment
from chalicelib.bootstrap import Application, application, utc_now
from chalicelib.errors import TransientError
from tests.gateway import SIGNING_KEY, Answer, Gateway
from tests.tables import items_of
from tests.tokens import ISSUER, TOKEN

CLIENT = {"phone": "79161234567", "timezone": "Europe/Moscow"}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": ""},
        {"authorization": TOKEN},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"DPoP {TOKEN}"},
        {"x-authorization": f"Bearer {TOKEN}"},
    ],
)
def test_without_a_token_nothing_opens(api: Gateway, header: dict[str, str]) -> None:
    stranger = Gateway()
    for method, path in (("GET", "/clients"), ("GET", "/nothing"), ("PUT", "/clients"), ("GET", "/metrics")):
        refused = stranger(method, path, headers=header)
        assert refused.status == 401, path
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert stranger("POST", "/clients", CLIENT, headers=header).status == 401
    assert items_of(ClientItem) == []
    assert api("GET", "/clients").status == 200


CLOSED = {"state": "closed", "cause": None, "since": None, "next_probe_at": None, "slowed_until": None}


def test_a_token_opens_however_bearer_is_written(api: Gateway) -> None:  # noqa: ARG001 - the application
    assert Gateway()("GET", "/clients", headers={"authorization": f"bEARER {TOKEN}"}).status == 200


def test_health_is_told_to_anybody(api: Gateway) -> None:  # noqa: ARG001 - the application
    answer = Gateway()("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "provider": CLOSED})


def test_the_document_of_the_api_is_open_to_all(api: Gateway) -> None:  # noqa: ARG001 - the application
    answer = Gateway()("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == document(OPERATIONS, ISSUER)


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/clients//", "/mailings/x/y/z", "/mailings/preview/x", "/health/x"],
)
def test_there_is_nothing_at_other_addresses(api: Gateway, path: str) -> None:
    assert_problem(api("GET", path), 404)


def test_one_slash_at_the_end_is_passed_over_as_the_gateway_does(api: Gateway) -> None:
    assert api("GET", "/clients/").json == api("GET", "/clients").json


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/clients", "GET, HEAD, POST"),
        ("DELETE", "/mailings", "GET, HEAD, POST"),
        ("POST", "/clients/01K00000000000000000000001", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/messages/7", "GET, HEAD"),
        ("POST", "/stats", "GET, HEAD"),
        ("GET", "/mailings/01K00000000000000000000001/start", "POST"),
        ("POST", "/messages/7/explain", "GET, HEAD"),
        ("POST", "/dead-letters", "GET, HEAD"),
        ("GET", "/dead-letters/redrive", "POST"),
    ],
)
def test_another_method_is_named_with_those_allowed(api: Gateway, method: str, path: str, allow: str) -> None:
    answer = api(method, path)
    assert_problem(answer, 405)
    assert answer.headers["Allow"] == allow


def test_a_method_that_chalice_itself_refuses_is_a_problem(api: Gateway) -> None:
    answer = api("PUT", "/clients", route="/clients")
    assert_problem(answer, 405)
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "POST"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("", 400),
        ("{", 400),
        ("{'phone': 1}", 400),
        ('{"phone": NaN}', 400),
        ('{"phone": 1e999}', 422),
        ('{"phone": ' + "9" * 5000 + "}", 400),
        ("[" * 100_000, 400),
        (b'{"phone": "\xff"}', 400),
        ("\ufeff{}", 400),
        ("{}{}", 400),
        ("null", 422),
        ("[]", 422),
        ('"x"', 422),
        ("7", 422),
        (b"{}", 422),
        ('{"phone": "79161234567", "timezone": "UTC", "phone": "79161234568"}', 422),
        ('{"x": "' + "x" * 1_048_576 + '"}', 413),
        (json.dumps(dict.fromkeys(map(str, range(50_000)))), 422),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(api: Gateway, raw: str | bytes, status: int) -> None:
    refused = api("POST", "/clients", raw=raw)
    assert_problem(refused, status)
    assert len(refused.text) < 20_000
    assert items_of(ClientItem) == []


def test_another_type_of_body_is_refused(api: Gateway) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        assert_problem(api("POST", "/clients", CLIENT, headers={"content-type": content_type}), 415)
    utf8 = {"content-type": "application/json; charset=utf-8"}
    assert api("POST", "/clients", CLIENT, headers=utf8).status == 201


def test_without_a_body_its_type_does_not_matter(api: Gateway) -> None:
    assert api("GET", "/clients", headers={"content-type": "multipart/form-data"}).status == 200


def test_every_answer_says_which_request_it_was(api: Gateway) -> None:
    for answer in (api("GET", "/clients"), api("GET", "/nothing"), Gateway()("GET", "/health"), Gateway()("GET", "/x")):
        assert answer.headers["X-Request-Id"] == "4f8a1f0e-0000-4000-8000-000000000001"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_logs_carry_the_ids_but_no_phone_text_or_token(api: Gateway, logged: StringIO) -> None:
    client = api("POST", "/clients", CLIENT).json["id"]
    start_at, end_at = write_moment(utc_now()), write_moment(utc_now() + timedelta(hours=1))
    asked = {"start_at": start_at, "end_at": end_at, "text": "a secret word"}
    mailing = api("POST", "/mailings", asked).json["id"]
    api("GET", f"/clients/{client}")
    api("GET", "/clients/79161234567")
    api("GET", "/clients?phone=79161234567")
    api("GET", f"/mailings/{mailing}/stats")
    api("GET", "/messages/12345")
    api("POST", "/79161234567", {"text": "a secret word"})
    text = logged.getvalue()
    assert not [word for word in ("7916123", "a secret word", TOKEN) if word in text]
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line["service"] == "vestnik" and line["correlation_id"] for line in lines)
    created = next(line for line in lines if line["message"] == "client created")
    assert (created["client_id"], created["phone"]) == (client, "*******4567")
    answered = [line for line in lines if line["message"] == "request answered"]
    assert [line.get("client_id") for line in answered] == [None, None, client, None, None, None, None, None]
    assert answered[5]["mailing_id"] == mailing
    assert answered[6]["message_id"] == "12345"
    assert {"method", "route", "status", "duration_ms"} <= answered[0].keys()


class Broken:
    """Stands for any service, and fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        raise self._error


@pytest.fixture
def breaking(built: Application, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    return lambda error: monkeypatch.setitem(built.__dict__, "manage_clients", Broken(error))


def test_an_error_of_ours_tells_nothing_but_its_id(
    api: Gateway, breaking: Callable[[Exception], None], logged: StringIO
) -> None:
    breaking(RuntimeError("the phone is 79161234567"))
    answer = api("GET", "/clients")
    assert_problem(answer, 500)
    assert "7916" not in answer.text
    assert answer.json["request_id"] in answer.json["instance"]
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    error = next(line for line in lines if line["level"] == "ERROR")
    assert error["correlation_id"] == answer.json["request_id"]
    assert error["exception_name"] == "RuntimeError"


def test_a_dependency_that_is_down_is_a_503_to_try_again(api: Gateway, breaking: Callable[[Exception], None]) -> None:
    breaking(TransientError("table test-clients is throttled"))
    answer = api("GET", "/clients")
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    assert "test-clients" not in answer.text


def test_settings_that_do_not_parse_are_an_error_of_ours(api: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_URL", "ftp://x")
    application.cache_clear()
    try:
        assert_problem(api("GET", "/clients"), 500)
    finally:
        application.cache_clear()


def test_without_its_key_no_cursor_is_read_or_made(api: Gateway, built: Application) -> None:
    for operator_code in ("916", "903"):
        assert api("POST", "/clients", {**CLIENT, "phone": f"7{operator_code}1234567"}).status == 201
    built.secrets._provider.store.clear()
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(SecretId="test-signing-key", SecretString="  ")
    try:
        assert_problem(api("GET", "/clients?limit=1"), 503)
        assert_problem(api("GET", "/clients?cursor=x"), 503)
    finally:
        secrets.put_secret_value(SecretId="test-signing-key", SecretString=SIGNING_KEY + "\n")
        built.secrets._provider.store.clear()
    assert api("GET", "/clients?limit=1").json["next"]


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json
    assert body["status"] == status
    assert {"type", "title", "detail", "instance", "request_id"} <= body.keys()
    assert ("errors" in body) == (status == 422)
