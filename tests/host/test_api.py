"""The API over HTTP: gunicorn for real, before a stand-in for app.py."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from infra.host.api import MOST_BYTES, Gateway, headers_of, target_of
from infra.host.functions import functions
from probe import free_port
from tests.running_stack import poll

APP = """
import json, time

class App:
    routes = {"/clients": ["GET", "POST"], "/clients/{client_id}": ["GET"], "/health": ["GET"]}

    def __call__(self, event, context):
        path = event["path"]
        print(json.dumps({"path": path}), flush=True)
        if path == "/raise":
            raise ValueError("wrong")
        if path == "/slow":
            time.sleep(2)
        if path == "/nonsense":
            return {"status": 200}
        if path == "/several":
            cookies = {"Set-Cookie": ["a=1", "b=2"]}
            return {"statusCode": 200, "headers": {}, "multiValueHeaders": cookies, "body": ""}
        if event["httpMethod"] == "HEAD":
            return {"statusCode": 200, "headers": {"ETag": "1"}, "body": ""}
        left = context.get_remaining_time_in_millis()
        return {"statusCode": 200, "headers": {}, "body": json.dumps({"event": event, "left": left})}

app = App()
"""


class Server:
    """The API in a process of its own."""

    def __init__(self, log: Path, **environ: str) -> None:
        self.port = free_port()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.host", "api", "--bind", f"127.0.0.1:{self.port}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"AWS_REGION": "eu-west-1"} | environ,
            )
        poll(self._answers, until=bool, deadline_seconds=60)

    def _answers(self) -> bool:
        assert self.process.poll() is None
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            content = answer.read()
            return answer, json.loads(content) if content else None
        finally:
            connection.close()

    def raw(self, sent: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(sent)
            received = b""
            while part := connection.recv(65_536):
                received += part
            return received

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


@pytest.fixture
def server(stand_in: None, tmp_path: Path) -> Iterator[Server]:  # noqa: ARG001 - it changes into the folder
    (tmp_path / "app.py").write_text(APP)
    made = Server(tmp_path / "api.log")
    yield made
    made.process.kill()
    made.process.wait()


def test_requests_become_events_and_answers_responses(server: Server) -> None:
    answer, told = server.call("GET", "/clients/a%2Fb?tag=x&tag=%D0%B6", X_Request_Id="mine-1")
    event = told["event"]

    assert answer.status == 200
    assert (event["resource"], event["pathParameters"]) == ("/clients/{client_id}", {"client_id": "a%2Fb"})
    assert event["path"] == "/clients/a%2Fb"
    assert event["multiValueQueryStringParameters"] == {"tag": ["x", "ж"]}
    assert event["headers"]["x-request-id"] == "mine-1"
    assert event["headers"]["host"] == f"127.0.0.1:{server.port}"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert 28_000 < told["left"] <= 29_000

    _, told = server.call("POST", "/clients", "{ж}".encode(), Content_Type="application/json")
    assert (told["event"]["body"], told["event"]["headers"]["content-type"]) == ("{ж}", "application/json")

    answer, _ = server.call("GET", "/several")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]

    answer, none = server.call("HEAD", "/clients")
    assert (answer.status, answer.headers["ETag"], none) == (200, "1", None)


@pytest.mark.parametrize("path", ["/raise", "/nonsense"])
def test_what_a_function_cannot_answer_is_a_problem_and_the_next_is_answered(server: Server, path: str) -> None:
    answer, problem = server.call("GET", path)

    assert (answer.status, answer.headers["Content-Type"]) == (502, "application/problem+json")
    assert answer.headers["X-Request-Id"] == problem["request_id"]
    assert "wrong" not in json.dumps(problem)
    assert server.call("GET", "/health")[0].status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_refused_before_it_is_taken(server: Server, *, chunked: bool) -> None:
    head = b"POST /clients HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        part = b"x" * 1_000_000
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"f4240\r\n" + part + b"\r\n") * 11 + b"0\r\n\r\n"
    else:
        sent = head + f"Content-Length: {MOST_BYTES + 1}\r\n\r\n".encode()
    received = server.raw(sent)

    assert received.startswith(b"HTTP/1.1 413 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["detail"] == "the request is larger than 10 MB"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /clients HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /clients HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /clients HTTP/1.1\r\nHost: a\r\n" + b"X: x\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_is_a_problem(server: Server, sent: bytes, status: int) -> None:
    head, _, content = server.raw(sent).partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(content)["status"] == status


def test_it_stops_when_it_is_told_to_and_finishes_what_is_in_hand(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(server.call("GET", "/slow")[0].status))
    caller.start()
    poll(lambda: "/slow" in log.read_text(), until=bool, deadline_seconds=20)
    code = server.stop()
    caller.join()

    assert (code, answers) == (0, [200])


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_URL", "ftp://x")

    done = subprocess.run(
        [sys.executable, "-m", "infra.host", "api"], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "PROVIDER_URL" in done.stderr


def environ(**more: object) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/health",
        "REMOTE_ADDR": "192.0.2.7",
        "SERVER_PORT": "8080",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    } | more


def test_ways_before_us_are_kept_and_ours_is_added() -> None:
    given = {"HTTP_HOST": "a", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "gopher"}

    assert headers_of(environ(**given, CONTENT_TYPE="text/plain", CONTENT_LENGTH="")) == {
        "host": "a",
        "content-type": "text/plain",
        "x-forwarded-for": "203.0.113.9, 192.0.2.7",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "8080",
    }
    assert headers_of(environ())["x-forwarded-for"] == "192.0.2.7"


def test_no_header_gets_into_the_context_of_a_request() -> None:
    seen: list[Any] = []

    def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
        seen.append(event)
        return {"statusCode": 200}

    gateway = Gateway(functions()["api"], handler, {"/health": ["GET"]})
    gateway(environ(HTTP_REQUESTCONTEXT="x", HTTP_X_AMZN_REQUESTID="x"), lambda *_: None)

    assert set(seen[0]["requestContext"]) == {
        "resourcePath", "httpMethod", "path", "requestId", "requestTimeEpoch", "stage", "identity"
    }  # fmt: skip
    assert seen[0]["requestContext"]["requestId"] != "x"


@pytest.mark.parametrize(
    ("uri", "path", "query"),
    [
        ("/clients?a=1?b", "/clients", "a=1?b"),
        ("//evil.example/x", "//evil.example/x", ""),
        ("http://api.example/clients?a=1", "/clients", "a=1"),
        ("http://api.example", "/", ""),
        ("*", "*", ""),
    ],
)
def test_target_is_a_path_and_a_query(uri: str, path: str, query: str) -> None:
    assert target_of(uri) == (path, query)
