from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from simulated_provider.ledger import REMEMBERED_REQUESTS, Ledger, Received
from tests.simulator import SCRIPT, RunningSimulator, start_simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OK = {"code": 0, "message": "OK"}
BEARER = {"Authorization": "Bearer header.payload.signature"}
DEFAULTS = {
    "latency_ms": 0,
    "hang_s": 0,
    "status": None,
    "body": None,
    "retry_after": None,
    "drop": None,
    "drip_s": 0,
    "error_rate": None,
    "seed": None,
}
RETRY_DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


# Both event loops: what uvloop and asyncio do with resets, paused reading and closing differs in their own code.
@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    environment = {}
    if request.param == "asyncio":
        hiding = tmp_path_factory.mktemp("without_uvloop")
        (hiding / "uvloop.py").write_text("raise ImportError")
        environment["PYTHONPATH"] = str(hiding)
    with start_simulator(environment=environment) as running:
        yield running


@pytest.fixture
def simulator(process: RunningSimulator) -> RunningSimulator:
    process.control()
    wait_until(lambda: process.received()["in_flight"] == 0)
    process.clear()
    return process


def wait_until(condition: Callable[[], bool], timeout_seconds: float = 10) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def message(message_id: int, **changes: object) -> dict[str, object]:
    return {"id": message_id, "phone": 79161234567, "text": "Привет", **changes}


def send(
    simulator: RunningSimulator, message_id: int = 1, session: requests.Session | None = None
) -> requests.Response:
    return (session or requests).post(
        f"{simulator.url}/v1/send/{message_id}",
        json=message(message_id),
        headers=BEARER,
        timeout=10,
        allow_redirects=False,
    )


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


class Wire:
    """A bare connection: bytes in, answers out, one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._answers = connection.makefile("rb")

    def write(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def read_answer(self, *, with_body: bool = True) -> Answer:
        version, status, *_ = self._answers.readline().decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = http.client.parse_headers(self._answers)
        length = int(headers.get("Content-Length", "0")) if with_body else 0
        return Answer(int(status), headers, self._answers.read(length))

    def ends(self) -> bool:
        """Wait until the simulator closes; false when there is another byte first."""
        return self._answers.read(1) == b""

    def close(self) -> None:
        self._answers.close()
        self.socket.close()


@contextmanager
def wire(simulator: RunningSimulator) -> Iterator[Wire]:
    address = urlsplit(simulator.url)
    assert address.hostname
    assert address.port
    opened = Wire(socket.create_connection((address.hostname, address.port), timeout=10))
    try:
        yield opened
    finally:
        opened.close()


def head(message_id: int, *lines: str, version: str = "1.1") -> bytes:
    fields = [f"POST /v1/send/{message_id} HTTP/{version}", "Host: provider", "Authorization: Bearer a.b.c", *lines]
    return "\r\n".join([*fields, "", ""]).encode()


def raw_send(message_id: int, *lines: str, version: str = "1.1") -> bytes:
    body = json.dumps(message(message_id)).encode()
    return head(message_id, f"Content-Length: {len(body)}", *lines, version=version) + body


def raw_control(**behaviour: object) -> bytes:
    body = json.dumps(behaviour).encode()
    return b"POST /_control HTTP/1.1\r\nHost: provider\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def counts(simulator: RunningSimulator) -> dict[str, int]:
    received = simulator.received()
    return {name: received[name] for name in ("requests", "accepted", "unique", "duplicates")}


# The provider contract


def test_a_message_that_keeps_the_contract_is_accepted(simulator: RunningSimulator) -> None:
    before = datetime.now(UTC)
    response = send(simulator, 42)

    assert (response.status_code, response.json()) == (200, OK)
    assert response.headers["Content-Type"] == "application/json"
    received = simulator.received()
    [last] = received["last"]
    started_at, at = (datetime.fromisoformat(last.pop(name)) for name in ("started_at", "at"))
    assert last == {**message(42), "status": 200, "accepted": True, "misbehaved": False, "request_id": None}
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= started_at <= at <= datetime.now(UTC)
    assert counts(simulator) == {"requests": 1, "accepted": 1, "unique": 1, "duplicates": 0}


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer   ", "Basic dXNlcjpwYXNz", "header.payload.signature"])
def test_without_a_bearer_token_a_message_is_unauthorized(simulator: RunningSimulator, value: str | None) -> None:
    headers = {} if value is None else {"Authorization": value}
    response = requests.post(f"{simulator.url}/v1/send/7", json=message(7), headers=headers, timeout=10)

    assert (response.status_code, response.json()["code"]) == (401, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert counts(simulator) == {"requests": 1, "accepted": 0, "unique": 0, "duplicates": 0}
    assert simulator.received(id=7)["last"][0]["status"] == 401


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "JSON"),
        (b"not JSON", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 60_000, "JSON"),
        (b"[1]", "object"),
        (b'{"id": 1, "phone": 79161234567}', "text"),
        (json.dumps(message(1, token="x")).encode(), "token"),
        (json.dumps(message(1, id="1")).encode(), "id"),
        (json.dumps(message(1, id=True)).encode(), "id"),
        (json.dumps(message(1, phone="79161234567")).encode(), "phone"),
        (json.dumps(message(1, phone=79161234567.5)).encode(), "phone"),
        (json.dumps(message(1, phone=2**63)).encode(), "phone"),
        (json.dumps(message(1, text=None)).encode(), "text"),
        (json.dumps(message(2)).encode(), "id: differs"),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused(simulator: RunningSimulator, body: bytes, named: str) -> None:
    response = requests.post(f"{simulator.url}/v1/send/1", data=body, headers=BEARER, timeout=10)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert named in response.json()["message"]
    assert counts(simulator) == {"requests": 1, "accepted": 0, "unique": 0, "duplicates": 0}


def test_an_id_in_the_address_that_is_no_integer_is_refused(simulator: RunningSimulator) -> None:
    response = requests.post(f"{simulator.url}/v1/send/01", json=message(1), headers=BEARER, timeout=10)
    assert response.status_code == 400
    response = requests.post(f"{simulator.url}/v1/send/one", json=message(1), headers=BEARER, timeout=10)
    assert response.status_code == 400
    assert [one["id"] for one in simulator.received()["last"]] == [1, None]


def test_a_body_above_64_kib_is_too_large_and_the_connection_lives_on(simulator: RunningSimulator) -> None:
    frame = len(json.dumps(message(1, text="")))
    with requests.Session() as session:
        session.headers.update(BEARER)
        for size, status in ((65_536, 200), (65_537, 413), (20_000_000, 413)):
            body = json.dumps(message(1, text="x" * (size - frame)))
            response = session.post(f"{simulator.url}/v1/send/1", data=body, timeout=10)
            assert (len(body), response.status_code) == (size, status)
            assert "Connection" not in response.headers


def test_only_the_given_token_is_let_in() -> None:
    with start_simulator("--token", "the.right.one") as simulator:
        for token, status in (("the.right.one", 200), ("the.right.on", 401), ("THE.RIGHT.ONE", 401)):
            response = requests.post(
                f"{simulator.url}/v1/send/1",
                json=message(1),
                headers={"Authorization": f"bearer {token}"},
                timeout=10,
            )
            assert response.status_code == status


@pytest.mark.parametrize("path", ["/", "/v1/send", "/v1/send/", "/v1/send/1/2", "/_controls", "/_received/"])
def test_an_unknown_address_is_not_found(simulator: RunningSimulator, path: str) -> None:
    response = requests.post(f"{simulator.url}{path}", json=message(1), headers=BEARER, timeout=10)

    assert (response.status_code, response.json()["status"]) == (404, 404)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert counts(simulator)["requests"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/send/1", "POST"),
        ("PUT", "/v1/send/1", "POST"),
        ("DELETE", "/_control", "GET, POST, HEAD"),
        ("POST", "/_received", "GET, DELETE, HEAD"),
    ],
)
def test_another_method_is_not_allowed(simulator: RunningSimulator, method: str, path: str, allowed: str) -> None:
    response = requests.request(method, f"{simulator.url}{path}", timeout=10)

    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert response.headers["Content-Type"] == "application/problem+json"


# Behaviour


def test_latency_delays_each_answer_and_does_not_queue_them(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=400)
    started = time.monotonic()
    assert send(simulator, 1).json() == OK
    assert time.monotonic() - started >= 0.4

    simulator.clear()
    simulator.control(hang_s=60)
    with wire(simulator) as first, wire(simulator) as second, wire(simulator) as third:
        for number, one in enumerate((first, second, third)):
            one.write(raw_send(number))
        wait_until(lambda: simulator.received()["in_flight"] == 3)
        assert simulator.received()["max_in_flight"] == 3


def test_hanging_requests_answer_in_the_end_and_hold_up_nobody(simulator: RunningSimulator) -> None:
    simulator.control(hang_s=1)
    with wire(simulator) as hanging:
        started = time.monotonic()
        hanging.write(raw_send(1))
        wait_until(lambda: simulator.received()["in_flight"] == 1)
        simulator.control()

        assert send(simulator, 2).json() == OK
        assert simulator.received()["in_flight"] == 1, "the other request was answered while one hangs"
        assert hanging.read_answer().json == OK
        assert time.monotonic() - started >= 1
    assert simulator.received()["in_flight"] == 0


def test_a_client_that_gives_up_is_in_flight_no_more_but_its_message_is_accepted(simulator: RunningSimulator) -> None:
    simulator.control(hang_s=60)
    with wire(simulator) as hanging:
        hanging.write(raw_send(1))
        wait_until(lambda: simulator.received()["in_flight"] == 1)
    wait_until(lambda: simulator.received()["in_flight"] == 0)
    assert counts(simulator)["accepted"] == 1


def test_refusals_are_delayed_too(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=300)
    started = time.monotonic()
    assert requests.post(f"{simulator.url}/v1/send/1", timeout=10).status_code == 401
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("status", [202, 400, 401, 403, 404, 408, 413, 422, 425, 429, 500, 503, 599])
def test_a_status_is_answered_to_everybody_and_accepts_nothing(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    for _ in range(2):
        response = send(simulator)
        assert (response.status_code, response.json()["code"]) == (status, status)
    assert counts(simulator) == {"requests": 2, "accepted": 0, "unique": 1, "duplicates": 1}
    assert simulator.received()["last"][-1]["status"] == status


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_leaves_the_connection_in_order(simulator: RunningSimulator, status: int) -> None:
    with wire(simulator) as one:
        one.write(raw_control(status=status), raw_send(1), raw_control(), raw_send(2))
        answers = [one.read_answer() for _ in range(4)]
    assert [each.status for each in answers] == [200, status, 200, 200]
    assert answers[1].headers["Content-Length"] is None


def test_a_client_that_follows_a_redirect_is_seen(simulator: RunningSimulator) -> None:
    simulator.control(status=307)
    assert send(simulator).status_code == 307
    with requests.Session() as session:
        session.max_redirects = 2
        with pytest.raises(requests.TooManyRedirects):
            session.post(f"{simulator.url}/v1/send/1", json=message(1), headers=BEARER, timeout=10)
    assert simulator.received()["requests"] == 1 + 3


@pytest.mark.parametrize(
    ("body", "content_type", "content", "accepted"),
    [
        ("plain text, Привет", "text/plain; charset=utf-8", "plain text, Привет", False),
        ("", "text/plain; charset=utf-8", "", False),
        ('{"code": 0}', "text/plain; charset=utf-8", '{"code": 0}', True),
        ("[" * 60_000, "text/plain; charset=utf-8", "[" * 60_000, False),
        ({"code": 7, "message": "busy"}, "application/json", '{"code": 7, "message": "busy"}', False),
        ({"code": 0, "more": [None]}, "application/json", '{"code": 0, "more": [null]}', True),
        ({"code": False}, "application/json", '{"code": false}', False),
        ([1, 2], "application/json", "[1, 2]", False),
        (False, "application/json", "false", False),
        ("x" * 200_000, "text/plain; charset=utf-8", "x" * 200_000, False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_is_answered_as_given(
    simulator: RunningSimulator, body: object, content_type: str, content: str, *, accepted: bool
) -> None:
    simulator.control(body=body)
    response = send(simulator)

    assert (response.status_code, response.content.decode()) == (200, content)
    assert response.headers["Content-Type"] == content_type
    assert counts(simulator)["accepted"] == int(accepted), "accepted means success by the contract"


def test_a_body_goes_with_a_status(simulator: RunningSimulator) -> None:
    simulator.control(status=500, body={"code": 0})
    response = send(simulator)
    assert (response.status_code, response.json()) == (500, {"code": 0})
    assert counts(simulator)["accepted"] == 0


@pytest.mark.parametrize(("value", "header"), [(0, "0"), (7, "7"), (RETRY_DATE, RETRY_DATE), ("soon", "soon")])
def test_retry_after_is_told_with_failures_only(simulator: RunningSimulator, value: object, header: str) -> None:
    simulator.control(status=429, retry_after=value)
    assert send(simulator).headers["Retry-After"] == header
    for success in ({"status": 200}, {"error_rate": 0}, {"body": "odd"}):
        simulator.control(retry_after=value, **success)
        assert "Retry-After" not in send(simulator).headers


def statuses(simulator: RunningSimulator, count: int) -> list[int]:
    with wire(simulator) as one:
        one.write(*(raw_send(number) for number in range(count)))
        return [one.read_answer().status for _ in range(count)]


def test_the_error_rate_is_kept_and_repeats_with_its_seed(simulator: RunningSimulator) -> None:
    simulator.control(error_rate=0.3, seed=5)
    first = statuses(simulator, 500)
    assert set(first) == {200, 500}
    # Five standard deviations of a binomial distribution (500, 0.3) are 51.
    assert 99 <= first.count(500) <= 201
    assert counts(simulator)["accepted"] == first.count(200)

    simulator.control(error_rate=0.3, seed=5, status=503)
    assert [500 if status == 503 else status for status in statuses(simulator, 500)] == first
    simulator.control(error_rate=0.3, seed=6)
    assert statuses(simulator, 500) != first


@pytest.mark.parametrize(("error_rate", "status"), [(0, 200), (1, 500)])
def test_the_ends_of_the_error_rate_are_exact(simulator: RunningSimulator, error_rate: int, status: int) -> None:
    simulator.control(error_rate=error_rate)
    assert set(statuses(simulator, 200)) == {status}


def test_the_error_rate_is_the_share_that_is_dropped(simulator: RunningSimulator) -> None:
    simulator.control(drop="before", error_rate=0.5, seed=1)
    dropped = 0
    for number in range(100):
        try:
            assert send(simulator, number).json() == OK
        except requests.ConnectionError:
            dropped += 1
    assert 25 <= dropped <= 75
    assert counts(simulator) == {"requests": 100, "accepted": 100 - dropped, "unique": 100, "duplicates": 0}


@pytest.mark.parametrize(("drop", "accepted"), [("before", 0), ("after", 1), (True, 1)])
def test_a_dropped_connection_is_reset(simulator: RunningSimulator, drop: object, accepted: int) -> None:
    simulator.control(drop=drop, status=503)
    with wire(simulator) as one:
        one.write(raw_send(1))
        with pytest.raises(ConnectionResetError):
            one.read_answer()
    assert counts(simulator) == {"requests": 1, "accepted": accepted, "unique": 1, "duplicates": 0}
    assert simulator.received()["last"][0]["status"] is None
    assert simulator.received()["in_flight"] == 0


def test_half_an_answer_ends_within_the_body(simulator: RunningSimulator) -> None:
    simulator.control(drop="half")
    with wire(simulator) as one:
        one.write(raw_send(1), raw_send(2))
        answer = one.read_answer()
        whole = json.dumps(OK).encode()
        assert answer.headers["Content-Length"] == str(len(whole))
        assert answer.body == whole[: len(whole) // 2]
        assert one.ends()
    assert simulator.received()["last"][0]["accepted"] is True
    assert counts(simulator)["requests"] == 1, "what stood behind it was lost with the connection"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        send(simulator)


def test_an_answer_drips_bit_by_bit_over_its_seconds(simulator: RunningSimulator) -> None:
    simulator.control(drip_s=0.5)
    with wire(simulator) as slow:
        started = time.monotonic()
        slow.write(raw_send(1), raw_control(), raw_send(2))
        assert slow.socket.recv(1000, socket.MSG_PEEK).startswith(b"H"), "it begins at once"
        assert time.monotonic() - started < 0.25
        assert slow.read_answer().json == OK
        assert 0.4 <= time.monotonic() - started < 5
        assert [slow.read_answer().json, slow.read_answer().json] == [DEFAULTS, OK], "those behind it waited"
    assert simulator.received()["in_flight"] == 0


def test_a_client_that_has_enough_of_the_drip_is_not_in_flight(simulator: RunningSimulator) -> None:
    simulator.control(drip_s=60)
    with wire(simulator) as slow:
        slow.write(raw_send(1))
        assert slow.socket.recv(1)
    wait_until(lambda: simulator.received()["in_flight"] == 0)


def test_half_an_answer_and_a_last_answer_may_drip_too(simulator: RunningSimulator) -> None:
    simulator.control(drop="half", drip_s=0.1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        send(simulator)
    simulator.control(drip_s=0.1, status=503)
    with wire(simulator) as one:
        one.write(raw_send(1, "Connection: close"))
        assert one.read_answer().status == 503
        assert one.ends()


def test_a_share_of_answers_drips_and_succeeds(simulator: RunningSimulator) -> None:
    simulator.control(drip_s=0.01, error_rate=0.5, seed=1)
    assert statuses(simulator, 20) == [200] * 20
    assert {one["misbehaved"] for one in simulator.received()["last"]} == {True, False}


@pytest.mark.parametrize(
    ("behaviour", "misbehaved"),
    [
        ({}, False),
        ({"latency_ms": 5}, False),
        ({"status": 200, "body": {"code": 0, "message": "fine"}}, False),
        ({"error_rate": 0, "status": 503}, False),
        ({"status": 503}, True),
        ({"body": "OK"}, True),
        ({"drop": "half"}, True),
        ({"drop": "before"}, True),
        ({"drip_s": 0.01}, True),
        ({"hang_s": 0.01}, True),
        ({"hang_s": 0.01, "error_rate": 0}, True),
    ],
    ids=str,
)
def test_the_log_tells_which_answers_were_no_plain_success(
    simulator: RunningSimulator, behaviour: dict[str, object], *, misbehaved: bool
) -> None:
    simulator.control(**behaviour)
    with suppress(requests.RequestException):
        send(simulator)
    assert [one["misbehaved"] for one in simulator.received()["last"]] == [misbehaved]


def test_no_drop_is_no_drop(simulator: RunningSimulator) -> None:
    for nothing in (False, None):
        assert simulator.control(drop=nothing)["drop"] is None
        assert send(simulator).json() == OK


def test_control_replaces_the_whole_behaviour_and_tells_it(simulator: RunningSimulator) -> None:
    assert simulator.control() == DEFAULTS
    given = {"latency_ms": 1.5, "status": 429, "body": {"a": [None]}, "retry_after": RETRY_DATE, "seed": 3}
    in_force = simulator.control(**given)
    assert in_force == DEFAULTS | given
    assert requests.get(f"{simulator.url}/_control", timeout=10).json() == in_force
    assert simulator.control(**in_force) == in_force, "what is told can be given back"
    assert simulator.control(drop=True) == DEFAULTS | {"drop": "after"}


@pytest.mark.parametrize(
    ("behaviour", "field"),
    [
        ({"latency": 5}, "latency"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": "5"}, "latency_ms"),
        ({"latency_ms": True}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"hang_s": float("inf")}, "hang_s"),
        ({"hang_s": []}, "hang_s"),
        ({"status": 199}, "status"),
        ({"status": 600}, "status"),
        ({"status": "503"}, "status"),
        ({"status": 503.0}, "status"),
        ({"body": [float("nan")]}, "body"),
        ({"retry_after": -1}, "retry_after"),
        ({"retry_after": "1\r\nX-Evil: 1"}, "retry_after"),
        ({"retry_after": "завтра"}, "retry_after"),
        ({"retry_after": ""}, "retry_after"),
        ({"drop": "later"}, "drop"),
        ({"drop": 1}, "drop"),
        ({"drip_s": -1}, "drip_s"),
        ({"error_rate": 1.1}, "error_rate"),
        ({"error_rate": -0.1}, "error_rate"),
        ({"seed": "x"}, "seed"),
    ],
    ids=str,
)
def test_a_wrong_behaviour_is_named_and_changes_nothing(
    simulator: RunningSimulator, behaviour: dict[str, object], field: str
) -> None:
    in_force = simulator.control(status=418)
    # Not json=: requests refuses to write NaN.
    response = requests.post(f"{simulator.url}/_control", data=json.dumps({"status": 503} | behaviour), timeout=10)

    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert requests.get(f"{simulator.url}/_control", timeout=10).json() == in_force
    assert send(simulator).status_code == 418


def test_a_behaviour_above_16_mib_is_too_large(simulator: RunningSimulator) -> None:
    response = requests.post(f"{simulator.url}/_control", json={"body": "x" * 17_000_000}, timeout=10)
    assert (response.status_code, response.json()["status"]) == (413, 413)
    assert send(simulator).json() == OK


def test_every_wrong_field_is_named(simulator: RunningSimulator) -> None:
    response = requests.post(f"{simulator.url}/_control", json={"status": 1, "drop": 1, "x": 1}, timeout=10)
    assert {error["field"] for error in response.json()["errors"]} == {"status", "drop", "x"}


@pytest.mark.parametrize("body", [b"", b"status=503", b"[]", b"null"])
def test_a_behaviour_that_is_no_object_is_a_bad_request(simulator: RunningSimulator, body: bytes) -> None:
    response = requests.post(f"{simulator.url}/_control", data=body, timeout=10)
    assert (response.status_code, response.json()["status"]) == (400, 400)


# What was received


def test_duplicates_are_told_for_what_came_and_for_what_was_accepted(simulator: RunningSimulator) -> None:
    simulator.control(drop="before")
    with pytest.raises(requests.ConnectionError):
        send(simulator, 1)
    simulator.control()
    for number in (1, 2, 2, 2, 3):
        send(simulator, number)

    received = simulator.received()
    assert counts(simulator) == {"requests": 6, "accepted": 5, "unique": 3, "duplicates": 3}
    assert (received["accepted_unique"], received["accepted_duplicates"]) == (3, 2)
    assert [one["id"] for one in received["last"]] == [1, 1, 2, 2, 2, 3]
    assert received["first_at"] == received["last"][0]["at"]
    assert received["last_at"] == received["last"][-1]["at"]
    assert received["first_at"] < received["last_at"]


def test_the_last_requests_are_limited_and_found_by_id(simulator: RunningSimulator) -> None:
    statuses(simulator, 120)
    statuses(simulator, 2)

    assert [one["id"] for one in simulator.received()["last"]] == [*range(22, 120), 0, 1]
    assert [one["id"] for one in simulator.received(limit=3)["last"]] == [119, 0, 1]
    assert simulator.received(limit=0)["last"] == []
    assert len(simulator.received(limit=100_000)["last"]) == 122
    assert [one["id"] for one in simulator.received(id=1)["last"]] == [1, 1]
    assert simulator.received(id=500)["last"] == []
    assert simulator.received(id=1)["requests"] == 122, "the filter is for the list, not for the counts"


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=-1", "limit"), ("limit=100001", "limit"), ("limit=", "limit"), ("id=x", "id"), ("ids=1", "ids")],
)
def test_a_wrong_query_is_named(simulator: RunningSimulator, query: str, field: str) -> None:
    response = requests.get(f"{simulator.url}/_received?{query}", timeout=10)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (422, [field])


def test_clearing_forgets_all_but_what_is_in_flight(simulator: RunningSimulator) -> None:
    send(simulator, 1)
    simulator.control(hang_s=60)
    with wire(simulator) as hanging:
        hanging.write(raw_send(2))
        wait_until(lambda: simulator.received()["in_flight"] == 1)
        response = requests.delete(f"{simulator.url}/_received", timeout=10)
        assert (response.status_code, response.content) == (204, b"")
        assert simulator.received() == {
            "requests": 0,
            "accepted": 0,
            "unique": 0,
            "duplicates": 0,
            "accepted_unique": 0,
            "accepted_duplicates": 0,
            "first_at": None,
            "last_at": None,
            "last": [],
            "in_flight": 1,
            "max_in_flight": 1,
        }
    simulator.control()
    send(simulator, 1)
    assert counts(simulator)["duplicates"] == 0


def test_only_the_last_hundred_thousand_are_remembered() -> None:
    ledger = Ledger()
    for number in range(REMEMBERED_REQUESTS + 5):
        ledger.record(Received(number, 79161234567, "text", 0.0, 0.0, 200, accepted=True))

    told: dict[str, Any] = ledger.to_json(REMEMBERED_REQUESTS)
    assert (told["requests"], told["unique"]) == (100_005, 100_005)
    assert (len(told["last"]), told["last"][0]["id"]) == (100_000, 5)
    assert ledger.to_json(1, message_id=4)["last"] == []


# HTTP


def test_a_thousand_requests_on_one_connection_are_all_answered(simulator: RunningSimulator) -> None:
    with wire(simulator) as one:
        for number in range(1000):
            one.write(raw_send(number))
            answer = one.read_answer()
            assert (answer.status, answer.json) == (200, OK)
    assert counts(simulator) == {"requests": 1000, "accepted": 1000, "unique": 1000, "duplicates": 0}


def test_pipelined_requests_are_answered_in_order_whatever_each_takes(simulator: RunningSimulator) -> None:
    with wire(simulator) as one:
        started = time.monotonic()
        one.write(
            raw_control(hang_s=0.5, body="slow"),
            raw_send(1),
            raw_control(latency_ms=100, body="less slow"),
            raw_send(2),
            raw_control(body="quick"),
            raw_send(3),
        )
        answers = [one.read_answer() for _ in range(6)]
    assert time.monotonic() - started >= 0.5
    assert [answer.body for answer in answers[1::2]] == [b"slow", b"less slow", b"quick"]


def test_more_pipelined_requests_than_are_taken_at_once_are_all_answered(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=50)
    assert statuses(simulator, 3000) == [200] * 3000
    assert simulator.received()["max_in_flight"] < 3000, "the rest waited in the socket"


def test_a_client_that_does_not_read_is_waited_for(simulator: RunningSimulator) -> None:
    body = "x" * 1_000_000
    simulator.control(body=body)
    with wire(simulator) as lazy:
        lazy.write(*(raw_send(number) for number in range(30)))
        wait_until(lambda: simulator.received(id=0)["requests"] > 0)
        simulator.control()
        assert send(simulator, 99).json() == OK
        assert {len(lazy.read_answer().body) for _ in range(20)} == {1_000_000}


def test_requests_split_into_single_bytes_are_whole_again(simulator: RunningSimulator) -> None:
    with wire(simulator) as one:
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw_send(123456789):
            one.write(bytes([byte]))
        assert one.read_answer().json == OK
    assert simulator.received()["last"][0]["id"] == 123456789


def test_a_chunked_body_is_read(simulator: RunningSimulator) -> None:
    body = json.dumps(message(5)).encode()
    with wire(simulator) as one:
        one.write(head(5, "Transfer-Encoding: chunked"))
        for part in (body[:10], body[10:]):
            one.write(b"%x\r\n%s\r\n" % (len(part), part))
        one.write(b"0\r\n\r\n", raw_send(6))
        assert [one.read_answer().status, one.read_answer().status] == [200, 200]


def test_a_client_that_asks_before_its_body_is_told_to_continue(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=100)
    body = json.dumps(message(5)).encode()
    with wire(simulator) as one:
        one.write(raw_send(4), head(5, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert one.read_answer().status == 200, "the answer to the request before comes first"
        assert one.read_answer().status == 100
        one.write(body)
        assert one.read_answer().json == OK


@pytest.mark.parametrize(
    ("version", "lines"), [("1.1", ["Connection: close"]), ("1.0", []), ("1.0", ["Connection: keep-alive"])]
)
def test_the_connection_ends_where_the_client_wants_it(
    simulator: RunningSimulator, version: str, lines: list[str]
) -> None:
    simulator.control(latency_ms=50)
    with wire(simulator) as one:
        one.write(raw_send(1, *lines, version=version))
        answer = one.read_answer()
        assert (answer.json, answer.headers["Connection"]) == (OK, "close")
        assert one.ends()


@pytest.mark.parametrize(("version", "line"), [("1.1", "Connection: close"), ("1.0", "Connection: keep-alive")])
def test_requests_after_the_last_one_are_not_taken(simulator: RunningSimulator, version: str, line: str) -> None:
    simulator.control(latency_ms=50)
    with wire(simulator) as one:
        one.write(raw_send(1, line, version=version), raw_send(2))
        assert one.read_answer().json == OK
    assert counts(simulator)["requests"] == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        head(1, "Content-Length: ten"),
        head(1, "Content-Length: 5", "Transfer-Encoding: chunked"),
        head(1, "Transfer-Encoding: chunked") + b"zz\r\n",
        head(1, "No colon"),
    ],
)
def test_malformed_http_is_a_bad_request_and_ends_the_connection(simulator: RunningSimulator, garbage: bytes) -> None:
    with wire(simulator) as one:
        one.write(raw_send(1), garbage)
        assert one.read_answer().json == OK
        answer = one.read_answer()
        assert (answer.status, answer.headers["Connection"]) == (400, "close")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert one.ends()
    assert send(simulator).json() == OK


def test_a_wish_to_change_the_protocol_is_answered_in_this_one(simulator: RunningSimulator) -> None:
    with wire(simulator) as one:
        one.write(b"GET /_control HTTP/1.1\r\nHost: provider\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert one.read_answer().json == DEFAULTS
        assert one.ends()

    simulator.control(latency_ms=50)
    with wire(simulator) as one:
        one.write(head(1, "Connection: Upgrade", "Upgrade: h2c"))
        assert one.read_answer().status == 400, "the answer is given at its time, too"
        assert one.ends()


def test_head_has_the_headers_of_get_and_no_body(simulator: RunningSimulator) -> None:
    with wire(simulator) as one:
        one.write(b"HEAD /_control HTTP/1.1\r\nHost: provider\r\n\r\n", raw_send(1))
        answer = one.read_answer(with_body=False)
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(json.dumps(DEFAULTS))))
        assert one.read_answer().json == OK


# The command


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=20, check=False
    )


def test_help_tells_every_setting_and_every_count(simulator: RunningSimulator) -> None:
    told = run("--help").stdout
    unexplained = [name for name in (*DEFAULTS, *simulator.received()) if name not in told]
    assert set(unexplained) <= {"last"}


def test_a_taken_port_is_told_in_one_line(simulator: RunningSimulator) -> None:
    port = urlsplit(simulator.url).port
    result = run("--port", str(port))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"provider simulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("options", [["--port", "65536"], ["--port", "x"], ["--token", ""]])
def test_wrong_options_are_refused_without_a_traceback(options: list[str]) -> None:
    result = run(*options)
    assert result.returncode == 2
    assert options[0] in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_in_order(tmp_path: Path, number: signal.Signals) -> None:
    errors = tmp_path / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            # In development mode Python tells of each thing that is left unclosed.
            [sys.executable, "-X", "dev", str(SCRIPT)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        assert process.stdout
        simulator = RunningSimulator(process.stdout.readline().split()[-1], process)
        simulator.control(hang_s=60)
        with wire(simulator) as hanging:
            hanging.write(raw_send(1))
            wait_until(lambda: simulator.received()["in_flight"] == 1)
            process.send_signal(number)
            assert process.wait(timeout=5) == 0
            with pytest.raises(requests.ConnectionError):
                simulator.received()
    assert errors.read_text() == ""
