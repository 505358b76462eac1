"""The edges of the API on the packaged application, over real HTTP: keys, tags, headers, other origins, abuse."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from bundle import make_bundle
from tests.abuse import ABUSES, Abuse
from tests.e2e.conftest import StartStack
from tests.running_stack import TIMEOUT_SECONDS, RunningStack

PAGE = "https://app.example"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture(scope="module")
def edge(start_stack: StartStack) -> RunningStack:
    """Start a stack that pages of one origin may call, each function held to what its own role allows."""
    return start_stack(emulator={"AUTH": "true"}, settings={"CORS_ORIGINS": PAGE})


def draft() -> dict[str, Any]:
    start_at = datetime.now(UTC) + timedelta(hours=1)
    end_at = start_at + timedelta(hours=1)
    return {"start_at": start_at.isoformat(), "end_at": end_at.isoformat(), "text": "Hello", "draft": True}


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def test_a_request_that_is_sent_again_is_done_once(edge: RunningStack) -> None:
    headers, body = key(), draft()
    first, again = (edge.request("POST", "/mailings", body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert edge.request("POST", "/mailings", body | {"text": "x"}, headers=headers).status_code == 422


def test_of_many_at_once_with_one_key_only_one_is_done(edge: RunningStack) -> None:
    headers, body = key(), draft() | {"text": "at once"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(_alone, edge, body, headers) for _ in range(8)]
        answers = [one.result() for one in sent]
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    listed = edge.request("GET", "/mailings?limit=500").json()["items"]
    assert [one["id"] for one in listed if one["text"] == "at once"] == list(made)


def _alone(edge: RunningStack, body: dict[str, Any], headers: dict[str, str]) -> requests.Response:
    """Post over a connection of its own: a session is not for threads. Each may start a function of its own."""
    sent = {"Authorization": f"Bearer {edge.token}"} | headers
    return requests.post(f"{edge.info.api_url}/mailings", json=body, headers=sent, timeout=TIMEOUT_SECONDS)


def test_tags_are_heeded(edge: RunningStack) -> None:
    made = edge.request("POST", "/mailings", draft())
    path, tag = f"/mailings/{made.json()['id']}", made.headers["ETag"]
    known = edge.request("GET", path, headers={"If-None-Match": tag})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
    assert edge.request("PATCH", path, {"text": "a"}, headers={"If-Match": tag}).status_code == 200
    refused = edge.request("PATCH", path, {"text": "b"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.headers["Content-Type"]) == (412, "application/problem+json")
    assert edge.request("DELETE", path, headers={"If-Match": tag}).status_code == 412
    assert edge.request("DELETE", path, headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/clients", 200),
        ("HEAD", "/clients", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/clients", 405),
        ("HEAD", "/nothing", 404),
        ("OPTIONS", "/clients", 405),
    ],
)
def test_every_answer_carries_its_headers(edge: RunningStack, method: str, path: str, status: int) -> None:
    answer = edge.request(method, path, headers={"X-Request-Id": "mine-1"})
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["X-Request-Id"] == "mine-1"
    assert "Strict-Transport-Security" not in answer.headers, "this is loopback"
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.of_lambda("on the host there is no API Gateway")
def test_what_the_gateway_refuses_by_itself_bears_its_id(edge: RunningStack) -> None:
    # The emulator does not read gateway responses out of a template's API, so they are put there one by one.
    template = json.loads(make_bundle().template.read_text())
    responses = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"][
        "x-amazon-apigateway-gateway-responses"
    ]
    gateway, api = edge.client("apigateway"), edge.info.api_url.split("/")[-2]
    for kind, response in responses.items():
        gateway.put_gateway_response(restApiId=api, responseType=kind, **response)
    gateway.create_deployment(restApiId=api, stageName="api")

    refused = edge.request("TRACE", "/clients", headers={"X-Request-Id": "mine-1"})

    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    given = {refused.headers["X-Request-Id"], refused.headers["x-amzn-RequestId"], refused.json()["request_id"]}
    assert len(given) == 1
    assert "mine-1" not in given, "the gateway knows no id but its own"


def test_head_is_get_without_a_body(edge: RunningStack) -> None:
    made = edge.request("POST", "/mailings", draft())
    path = f"/mailings/{made.json()['id']}"
    answer = edge.request("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"] == made.headers["ETag"]
    assert edge.request("HEAD", path, headers={"Authorization": None}).status_code == 401


def test_pages_of_the_named_origin_may_call_and_no_others(edge: RunningStack) -> None:
    asked = {"Authorization": None, "Access-Control-Request-Method": "POST"}
    for path in ("/clients", "/health", "/nothing"):
        allowed = edge.request("OPTIONS", path, headers=asked | {"Origin": PAGE})
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Idempotency-Key" in allowed.headers["Access-Control-Allow-Headers"]
        other = edge.request("OPTIONS", path, headers=asked | {"Origin": "https://evil.example"})
        assert not [name for name in other.headers if name.lower().startswith("access-control-")]
    read = edge.request("GET", "/clients", headers={"Origin": PAGE})
    assert (read.status_code, read.headers["Access-Control-Allow-Origin"]) == (200, PAGE)


@pytest.mark.parametrize("abuse", ABUSES, ids=str)
def test_abuse_is_answered_with_a_problem(edge: RunningStack, abuse: Abuse) -> None:
    """Send it as it stands: the usual clients would mend it first."""
    parts = urlsplit(edge.info.api_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.putrequest(abuse.method, parts.path + abuse.path, skip_accept_encoding=True)
        sent = {"Authorization": f"Bearer {edge.token}"} | abuse.headers
        if abuse.body is not None:
            sent["Content-Length"] = str(len(abuse.body))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(abuse.body)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()

    assert answer.status in abuse.statuses, content[:500]
    assert answer.status == 200 or answer.headers["Content-Type"] == "application/problem+json"
    assert "Set-Cookie" not in answer.headers
    assert "X-Injected" not in answer.headers


def test_abuse_has_stored_nothing(edge: RunningStack) -> None:
    assert edge.request("GET", "/clients").json() == {"items": [], "next": None}
