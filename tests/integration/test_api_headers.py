import json
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace

import pytest

from app import app
from chalicelib.adapters.tables import ClientItem
from chalicelib.bootstrap import Application, application
from tests.builders import ulid
from tests.gateway import Answer, Gateway
from tests.tables import items_of
from tests.tokens import TOKEN

CLIENT = {"phone": "79161234567", "timezone": "Europe/Moscow"}
OURS = "4f8a1f0e-0000-4000-8000-000000000001"  # the gateway's
PAGE = "https://app.example"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
SECURITY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": OURS,
}


@pytest.fixture
def open_to_pages(built: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name two origins whose pages may call the API."""
    origins = (PAGE, "http://localhost:3000")
    monkeypatch.setattr(built, "settings", built.settings.model_copy(update={"cors_origins": origins}))


def answers_of_all_kinds(api: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Answer]]:
    stranger = Gateway()
    made = api("POST", "/clients", CLIENT)
    path = f"/clients/{made.json['id']}"
    yield 200, stranger("GET", "/health")
    yield 201, made
    yield 202, api("POST", "/mailings/process")
    yield 204, api("DELETE", f"/clients/{api('POST', '/clients', CLIENT | {'phone': '79160000002'}).json['id']}")
    yield 304, api("GET", path, headers={"If-None-Match": "*"})
    yield 400, api("POST", "/clients", raw="{")
    yield 401, stranger("GET", "/clients")
    yield 404, api("GET", "/nothing")
    yield 405, api("PUT", "/clients")
    yield 405, api("PUT", "/clients", route="/clients")  # Chalice's own
    yield 409, api("POST", "/clients", CLIENT)
    yield 412, api("PATCH", path, {}, headers={"If-Match": '"other"'})
    yield 413, api("POST", "/clients", raw=" " * 1_048_577)
    yield 414, api("GET", "/clients?tag=" + "x" * 9000)
    yield 415, api("POST", "/clients", CLIENT, headers={"content-type": "text/plain"})
    yield 422, api("POST", "/clients", {})
    yield 431, api("GET", "/clients", headers={"x-large": "x" * 17_000})
    with monkeypatch.context() as patch:
        patch.setitem(application().__dict__, "manage_clients", None)
        yield 500, api("GET", path)
    with monkeypatch.context() as patch:
        patch.setitem(application().__dict__, "access_tokens", SimpleNamespace())
        yield 500, api("GET", path)


def test_every_answer_carries_the_headers_that_keep_browsers_safe(
    api: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, answer in answers_of_all_kinds(api, monkeypatch):
        assert answer.status == status, answer.text
        assert answer.headers | SECURITY == answer.headers, status
        assert (answer.headers["Content-Type"] == "application/problem+json") == (status >= 400)
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]
        assert "Vary" not in answer.headers


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("localhost", 0),
        ("127.0.0.1:4566", 0),
        ("[::1]:4566", 0),
        ("abc.execute-api.localhost:4566", 0),
        ("", 1),
        ("api.example", 1),
        ("localhost.example", 1),
        ("127.0.0.1.example", 1),
        ("[::1", 1),
    ],
)
def test_tls_is_asked_for_off_loopback(api: Gateway, host: str, asked: int) -> None:
    headers = api("GET", "/health", headers={"host": host}).headers
    assert ("Strict-Transport-Security" in headers) == bool(asked)


@pytest.mark.parametrize("given", ["a", "req-1.2:3_4", "8e03978e-40d5-43e8-bc93-6894a57f9324", "x" * 128])
def test_a_request_keeps_the_id_that_its_sender_gave_it(api: Gateway, logged: StringIO, given: str) -> None:
    answer = api("GET", "/nothing", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == answer.json["request_id"] == given
    assert answer.json["instance"] == f"urn:vestnik:request:{given}"
    (line,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert (line["correlation_id"], line["gateway_request_id"]) == (given, OURS)


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "a\nb", "a\r\nSet-Cookie: x=1", "a\n", "ж", "x" * 129, '"', "<script>", "a,b", "\x00"]
)
def test_an_id_that_could_be_anything_else_is_ignored(api: Gateway, logged: StringIO, given: str) -> None:
    answer = api("GET", "/nothing", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == OURS
    assert "Set-Cookie" not in logged.getvalue()


class TestHead:
    @pytest.mark.parametrize("path", ["/health", "/clients?limit=1", f"/clients/{ulid(1)}", "/messages/7", "/stats"])
    def test_it_is_answered_as_get_is_without_the_body(self, api: Gateway, path: str) -> None:
        get, head = api("GET", path), api("HEAD", path)
        assert (head.status, head.text) == (get.status, "")
        assert head.headers == get.headers

    def test_it_reads_entities_and_their_tags(self, api: Gateway) -> None:
        made = api("POST", "/clients", CLIENT)
        path, tag = f"/clients/{made.json['id']}", made.headers["ETag"]
        assert api("HEAD", path).headers["ETag"] == tag
        assert api("HEAD", path, headers={"If-None-Match": tag}).status == 304

    def test_a_cursor_is_good_for_both(self, api: Gateway) -> None:
        for phone in ("79160000001", "79160000002"):
            api("POST", "/clients", CLIENT | {"phone": phone})
        cursor = api("GET", "/clients?limit=1").json["next"]
        assert api("HEAD", f"/clients?limit=1&cursor={cursor}").status == 200

    def test_it_needs_what_get_needs(self, api: Gateway) -> None:
        assert Gateway()("HEAD", "/clients").status == 401
        assert api("HEAD", "/nothing").status == 404
        refused = api("HEAD", f"/mailings/{ulid(1)}/start")
        assert (refused.status, refused.headers["Allow"], refused.text) == (405, "POST", "")


class TestCors:
    def test_a_page_of_a_known_origin_learns_what_it_may_do(self, api: Gateway, open_to_pages: None) -> None:  # noqa: ARG002
        for path in ("/clients", f"/clients/{ulid(1)}", "/nothing"):
            answer = Gateway()("OPTIONS", path, headers=PREFLIGHT)
            assert (answer.status, answer.text) == (204, "")
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PATCH, DELETE"
            allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
            assert {"Authorization", "Content-Type", "Idempotency-Key", "If-Match"} <= allowed
            assert answer.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Credentials" not in answer.headers

    def test_a_page_of_a_known_origin_may_read_every_answer(
        self,
        api: Gateway,
        open_to_pages: None,  # noqa: ARG002
    ) -> None:
        from_page = {"Origin": "http://localhost:3000"}
        answers = [
            api("GET", "/clients", headers=from_page),
            api("POST", "/clients", {}, headers=from_page),
            Gateway()("GET", "/clients", headers=from_page),
            api("GET", "/nothing", headers=from_page),
        ]
        for answer in answers:
            assert answer.headers["Access-Control-Allow-Origin"] == from_page["Origin"]
            exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
            assert {"ETag", "Location", "X-Request-Id", "Retry-After"} <= exposed
            assert "Access-Control-Allow-Methods" not in answer.headers
        assert [answer.status for answer in answers] == [200, 422, 401, 404]

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "null",
            "*",
            "https://other.example",
            "http://app.example",
            f"{PAGE}:8443",
            f"{PAGE}.evil.example",
            "x\r\ny",
        ],
    )
    def test_another_origin_gets_no_header(self, api: Gateway, open_to_pages: None, origin: str) -> None:  # noqa: ARG002
        for answer in (
            Gateway()("OPTIONS", "/clients", headers=PREFLIGHT | {"Origin": origin}),
            api("GET", "/clients", headers={"Origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("Access-Control-")]
            assert answer.headers["Vary"] == "Origin"

    def test_without_origins_a_preflight_allows_nothing(self, api: Gateway) -> None:
        answer = api("OPTIONS", "/clients", headers=PREFLIGHT)
        assert answer.status == 204
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]

    def test_options_that_are_no_preflight_need_a_token_like_all_else(self, api: Gateway, open_to_pages: None) -> None:  # noqa: ARG002
        assert Gateway()("OPTIONS", "/clients").status == 401
        assert Gateway()("OPTIONS", "/clients", headers={"Origin": PAGE}).status == 401
        assert api("OPTIONS", "/clients").status == 405

    def test_settings_that_do_not_parse_open_nothing(self, api: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CORS_ORIGINS", "*")
        application.cache_clear()
        try:
            answer = api("GET", "/clients", headers={"Origin": "*"})
        finally:
            application.cache_clear()
        assert answer.status == 500
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


def test_a_header_that_stands_twice_is_one_list(api: Gateway) -> None:  # noqa: ARG001 - the application
    event = {
        "resource": "/clients",
        "path": "/clients",
        "httpMethod": "POST",
        "headers": {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Idempotency-Key": "b"},
        "multiValueHeaders": {"Idempotency-Key": ["a", "b"]},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": json.dumps(CLIENT),
        "isBase64Encoded": False,
        "requestContext": {"resourcePath": "/clients", "httpMethod": "POST", "requestId": OURS},
    }
    refused = app(event, SimpleNamespace())
    assert refused["statusCode"] == 422
    assert json.loads(refused["body"])["errors"][0]["field"] == "Idempotency-Key"
    assert items_of(ClientItem) == []
