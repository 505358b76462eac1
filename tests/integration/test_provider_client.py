"""What the provider's answers mean, against the simulator and against servers that misbehave beneath HTTP."""

import gzip
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from chalicelib.adapters.deadline import Call
from chalicelib.adapters.provider_client import MAX_BODY_BYTES, ProviderClient
from chalicelib.correlation import correlated
from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.errors import TransientError
from tests.log_lines import log_lines
from tests.raw_server import RawServer, Script, raw_server, read_request, reset
from tests.simulator import RunningSimulator, start_simulator

PHONE, TEXT = "79161234567", "Ваш заказ прибыл."
OK_BODY = b'{"code": 0, "message": "OK"}'
TIMEOUT = 0.5
SOON = 1.5  # well above the timeout, for a machine that is busy


class FakeToken:
    """A token that may be replaced, or not be there (protocol: `Token`)."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0
        self.delay_seconds = 0.0

    def current(self) -> str:
        self.asked += 1
        time.sleep(self.delay_seconds)
        if not self.tokens:
            raise TransientError("the secret cannot be read")
        return self.tokens[0]

    def renewed(self, refused: str) -> str:
        assert refused == self.tokens[0]
        if len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


def provider(url: str, token: FakeToken | None = None, *, connect_timeout_seconds: float = 3) -> ProviderClient:
    return ProviderClient(
        url, token or FakeToken("secret"), connect_timeout_seconds=connect_timeout_seconds, pool_size=32
    )


def send(client: ProviderClient, timeout_seconds: float = 5, message_id: int = 7) -> Answer:
    """Send one message; the time that it took is not compared."""
    return replace(client.send(message_id, PHONE, TEXT, timeout_seconds), duration_ms=0)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with start_simulator("--token", "secret") as simulator:
        yield simulator


@pytest.fixture
def simulator(running: RunningSimulator) -> RunningSimulator:
    running.control()
    running.clear()
    return running


@pytest.fixture
def serve() -> Iterator[Callable[[Script], RawServer]]:
    """Hand out a way to start a server with a script; all end with the test."""
    with ExitStack() as servers:
        yield lambda script: servers.enter_context(raw_server(script))


# --- The request


def test_a_message_is_posted_as_the_contract_says(serve: Callable[[Script], RawServer]) -> None:
    requests = []

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(response(OK_BODY))

    assert send(provider(serve(script).url), message_id=2**53 - 1).kind is AnswerKind.ACCEPTED
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/send/9007199254740991 HTTP/1.1"
    assert "Authorization: Bearer secret" in lines
    assert "Content-Type: application/json" in lines
    assert json.loads(body) == {"id": 2**53 - 1, "phone": 79161234567, "text": TEXT}


def test_a_request_bears_the_id_of_the_call_that_set_it_going(simulator: RunningSimulator) -> None:
    client = provider(simulator.url)
    with correlated("call"):
        send(client, message_id=1)
    send(client, message_id=2)
    assert [(one["id"], one["request_id"]) for one in simulator.received()["last"]] == [(1, "call"), (2, None)]


def test_a_request_goes_out_in_one_piece(serve: Callable[[Script], RawServer]) -> None:
    pieces = []

    def script(connection: socket.socket) -> None:
        for _ in range(2):
            pieces.append(connection.recv(65536))
            connection.sendall(response(OK_BODY))

    client = provider(serve(script).url)
    assert [send(client).kind for _ in range(2)] == [AnswerKind.ACCEPTED] * 2
    assert all(json.loads(piece.partition(b"\r\n\r\n")[2])["text"] == TEXT for piece in pieces)


def response(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*answers: bytes) -> Script:
    """Make a script that answers one request after the other, and then closes."""

    def script(connection: socket.socket) -> None:
        for answer in answers:
            if not read_request(connection):
                return
            connection.sendall(answer)

    return script


# --- What answers mean


def test_200_with_code_0_is_accepted(simulator: RunningSimulator) -> None:
    assert send(provider(simulator.url)) == Answer(AnswerKind.ACCEPTED, status=200)
    assert simulator.received()["requests"] == 1


def test_the_time_that_it_took_is_told(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=120)
    assert 120 <= provider(simulator.url).send(7, PHONE, TEXT, 5).duration_ms < 1000


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": 1, "message": "no"}, "other_code"),
        ({"code": -1}, "other_code"),
        ({"code": "0"}, "wrong_shape"),
        ({"code": False}, "wrong_shape"),
        ({"code": 0.0}, "wrong_shape"),
        ({"message": "OK"}, "wrong_shape"),
        ([0], "wrong_shape"),
        ("0", "wrong_shape"),
        ("null", "wrong_shape"),
        ("OK", "no_json"),
        ("<html>OK</html>", "no_json"),
        ('{"code": 0', "no_json"),
        ('{"code": 0} {"code": 0}', "no_json"),
        ("[" * 60_000, "no_json"),
        ('{"code": ' + "9" * 5000 + "}", "no_json"),
        (" ", "no_json"),
    ],
)
def test_200_with_any_other_body_is_broken(simulator: RunningSimulator, body: object, error: str) -> None:
    simulator.control(body=body)
    assert send(provider(simulator.url)) == Answer(AnswerKind.BROKEN, error, 200)


def test_an_empty_body_and_one_that_is_no_utf8_are_broken(serve: Callable[[Script], RawServer]) -> None:
    server = serve(answering(response(b""), response(b'{"code": 0, "message": "\xff"}')))
    client = provider(server.url)
    assert [send(client), send(client)] == [Answer(AnswerKind.BROKEN, "no_json", 200)] * 2


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_refused_for_good(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    assert send(provider(simulator.url)) == Answer(AnswerKind.REFUSED, f"http_{status}", status)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_busy(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    assert send(provider(simulator.url)) == Answer(AnswerKind.BUSY, f"http_{status}", status)


@pytest.mark.parametrize("status", [201, 202, 204, 402, 405, 409, 410, 418, 451])
def test_what_the_contract_does_not_know_is_broken(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    assert send(provider(simulator.url)) == Answer(AnswerKind.BROKEN, f"http_{status}", status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    assert send(provider(simulator.url)) == Answer(AnswerKind.BROKEN, f"http_{status}", status)
    assert simulator.received()["requests"] == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), (" 7 ", 7), ("0", 0), ("99999999999", 30 * 86_400), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_read(serve: Callable[[Script], RawServer], header: str, seconds: int) -> None:
    server = serve(answering(response(b"", "503 Busy", f"Retry-After: {header}")))
    assert send(provider(server.url)) == Answer(AnswerKind.BUSY, "http_503", 503, timedelta(seconds=seconds))


def test_retry_after_may_be_a_date(simulator: RunningSimulator) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=5)
    simulator.control(status=429, retry_after=format_datetime(moment, usegmt=True))
    wait = send(provider(simulator.url)).retry_after
    assert wait is not None
    assert timedelta(minutes=4, seconds=50) < wait <= timedelta(minutes=5)


@pytest.mark.parametrize(
    "header",
    ["", "soon", "-1", "1.5", "٣", "Wed", "Wed, 32 Oct 2026 07:28:00 GMT", "1 Jan 99999999999999999999 00:00:00 GMT"],
)
def test_a_retry_after_that_cannot_be_read_is_none(serve: Callable[[Script], RawServer], header: str) -> None:
    server = serve(answering(response(b"", "503 Busy", f"Retry-After: {header}")))
    assert send(provider(server.url)) == Answer(AnswerKind.BUSY, "http_503", 503)


@pytest.mark.parametrize("header", ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -1200"])
def test_a_retry_after_is_at_most_a_month_so_that_it_can_be_added_to_any_time(
    serve: Callable[[Script], RawServer], header: str
) -> None:
    server = serve(answering(response(b"", "503 Busy", f"Retry-After: {header}")))
    assert send(provider(server.url)) == Answer(AnswerKind.BUSY, "http_503", 503, timedelta(days=30))


# --- What keeps an answer from coming


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert send(provider(f"http://127.0.0.1:{port}")) == Answer(AnswerKind.UNREACHABLE, "connect")


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    assert send(provider("http://does-not-exist.invalid")).kind is AnswerKind.UNREACHABLE


def test_a_connection_that_does_not_come_about_is_unreachable() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with filled_backlog(port):
            started = time.monotonic()
            answer = send(provider(f"http://127.0.0.1:{port}", connect_timeout_seconds=0.3), timeout_seconds=5)
            assert answer == Answer(AnswerKind.UNREACHABLE, "connect_timeout")
            assert time.monotonic() - started < 0.3 + 1


@contextmanager
def filled_backlog(port: int) -> Iterator[None]:
    """Leave no room in a listener's backlog: further connections hang."""
    with ExitStack() as waiting:
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 - its only argument
            one.connect_ex(("127.0.0.1", port))
        yield


def test_tls_that_fails_is_unreachable(serve: Callable[[Script], RawServer]) -> None:
    server = serve(lambda connection: connection.sendall(b"this is no TLS\r\n"))
    answer = send(provider(f"https://127.0.0.1:{server.port}"))
    assert answer == Answer(AnswerKind.UNREACHABLE, "connect")


def test_a_certificate_of_nobody_is_unreachable(serve: Callable[[Script], RawServer], tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    requests = []

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            requests.append(read_request(secured))

    answer = send(provider(f"https://127.0.0.1:{serve(script).port}"))
    assert answer == Answer(AnswerKind.UNREACHABLE, "connect")
    assert requests == []


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(pem))
    return file


def test_a_tls_handshake_that_hangs_is_unreachable_in_time(serve: Callable[[Script], RawServer]) -> None:
    server = serve(lambda connection: drip(connection, b""))
    started = time.monotonic()
    answer = send(provider(f"https://127.0.0.1:{server.port}"), TIMEOUT)
    assert answer == Answer(AnswerKind.UNREACHABLE, "connect_timeout")
    assert time.monotonic() - started < SOON


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_reset_is_uncertain(simulator: RunningSimulator, drop: str) -> None:
    simulator.control(drop=drop)
    assert send(provider(simulator.url)) == Answer(AnswerKind.UNCERTAIN, "reset")


def test_half_an_answer_is_uncertain(simulator: RunningSimulator) -> None:
    simulator.control(drop="half")
    assert send(provider(simulator.url)) == Answer(AnswerKind.UNCERTAIN, "reset")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + OK_BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n" + OK_BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + OK_BODY,
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n" + OK_BODY,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n" + OK_BODY,
    ],
    ids=["nothing", "length", "chunks", "bad chunk", "no http", "many headers", "long header"],
)
def test_what_is_no_whole_answer_is_uncertain(serve: Callable[[Script], RawServer], answer: bytes) -> None:
    assert send(provider(serve(answering(answer)).url)).kind is AnswerKind.UNCERTAIN


def test_a_reset_after_the_request_is_uncertain(serve: Callable[[Script], RawServer]) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        reset(connection)

    assert send(provider(serve(script).url)) == Answer(AnswerKind.UNCERTAIN, "reset")


def test_a_body_that_cannot_be_unpacked_is_broken(serve: Callable[[Script], RawServer]) -> None:
    server = serve(answering(response(b"this is no gzip", "200 OK", "Content-Encoding: gzip")))
    assert send(provider(server.url)).kind is AnswerKind.BROKEN


# --- The deadline


def drip(connection: socket.socket, start: bytes, piece: bytes = b"") -> None:
    """Send a start, and then a little again and again, or nothing, until the other side has enough."""
    connection.sendall(start)
    while True:
        time.sleep(0.05)
        if piece:
            connection.sendall(piece)
        elif not connection.recv(65536):
            return


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b""),
        (b"", b"H"),
        (HEAD, b"X-More: 1\r\n"),
        (HEAD + b"X-Long: ", b"y"),
        (HEAD + b"Content-Length: 60000\r\n\r\n", b""),
        (HEAD + b"Content-Length: 60000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"\r\n" + OK_BODY[:10], b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=[
        *("silence", "slow status line", "slow headers", "slow header", "silent body", "slow body"),
        *("slow chunks", "slow body without end", "half a body without end", "only informational answers"),
    ],
)
@pytest.mark.timeout(10)
def test_a_call_is_over_in_time_whatever_the_other_side_does(
    serve: Callable[[Script], RawServer], start: bytes, piece: bytes
) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        drip(connection, start, piece)

    client = provider(serve(script).url)
    started = time.monotonic()
    answer = send(client, TIMEOUT)
    assert TIMEOUT * 0.9 < time.monotonic() - started < SOON
    assert answer == Answer(AnswerKind.UNCERTAIN, "timeout")


def test_a_hanging_simulator_is_uncertain(simulator: RunningSimulator) -> None:
    simulator.control(hang_s=30)
    started = time.monotonic()
    assert send(provider(simulator.url), TIMEOUT) == Answer(AnswerKind.UNCERTAIN, "timeout")
    assert time.monotonic() - started < SOON


def test_after_a_call_that_was_cut_the_next_one_works(simulator: RunningSimulator) -> None:
    client = provider(simulator.url)
    simulator.control(hang_s=30)
    send(client, 0.2)
    simulator.control()
    assert send(client).kind is AnswerKind.ACCEPTED


def test_a_call_that_was_in_time_is_not_cut_afterwards(simulator: RunningSimulator) -> None:
    client = provider(simulator.url)
    assert send(client, 0.3).kind is AnswerKind.ACCEPTED
    simulator.control(latency_ms=600)
    # The same connection is in use when the first call's time is over.
    assert send(client, 5).kind is AnswerKind.ACCEPTED


def test_many_calls_end_each_at_its_own_time(simulator: RunningSimulator) -> None:
    simulator.control(hang_s=30)
    client = provider(simulator.url)

    def timed(timeout_seconds: float) -> float:
        started = time.monotonic()
        assert send(client, timeout_seconds) == Answer(AnswerKind.UNCERTAIN, "timeout")
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as threads:
        timeouts = [0.9, 0.2, 0.6, 0.3, 0.2, 0.9, 0.4, 0.5]
        took = list(threads.map(timed, timeouts))
    for timeout, took_seconds in zip(timeouts, took, strict=True):
        assert timeout * 0.9 < took_seconds < timeout + 0.8


def test_a_token_that_comes_late_leaves_the_rest_of_the_time_to_the_call(simulator: RunningSimulator) -> None:
    simulator.control(hang_s=30)
    token = FakeToken("secret")
    token.delay_seconds = 0.4
    started = time.monotonic()
    send(provider(simulator.url, token), TIMEOUT)
    assert time.monotonic() - started < TIMEOUT + 0.3


def test_a_token_that_comes_too_late_is_used_for_no_request(simulator: RunningSimulator) -> None:
    token = FakeToken("secret")
    token.delay_seconds = 0.3
    answer = send(provider(simulator.url, token), 0.2)
    assert simulator.received()["requests"] == 0
    assert answer.kind is not AnswerKind.ACCEPTED


def test_a_call_that_is_over_before_its_connection_stands_is_cut_when_it_does() -> None:
    here, there = socket.socketpair()
    with here, there:
        connection = HTTPConnection("127.0.0.1", 1)
        call = Call()
        call.uses(connection)
        call.cut()
        assert call.overdue
        connection.sock = here
        with suppress(OSError, HTTPError):
            call.uses(connection)
        with pytest.raises(OSError, match=r"."):
            here.sendall(b"POST")


# --- The token


def test_a_token_that_was_replaced_succeeds_at_once(simulator: RunningSimulator) -> None:
    token = FakeToken("old", "secret")
    assert send(provider(simulator.url, token)) == Answer(AnswerKind.ACCEPTED, status=200)
    assert token.tokens == ["secret"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_tried_once(simulator: RunningSimulator, status: int) -> None:
    simulator.control(status=status)
    with log_lines(logging.ERROR) as lines:
        answer = send(provider(simulator.url))
    assert answer == Answer(AnswerKind.UNAUTHORIZED, f"http_{status}", status)
    assert simulator.received()["requests"] == 1
    assert len(lines) == 1
    line = lines[0]
    assert vars(line)["http_status"] == status
    assert "secret" not in str(vars(line))


def test_a_new_token_that_is_refused_too_is_the_answer(simulator: RunningSimulator) -> None:
    simulator.control(status=401)
    assert send(provider(simulator.url, FakeToken("secret", "newer"))) == Answer(
        AnswerKind.UNAUTHORIZED, "http_401", 401
    )
    assert simulator.received()["requests"] == 2


def test_no_second_request_starts_within_the_last_second(simulator: RunningSimulator) -> None:
    """The deadline may be the end of the mailing, and within a second of that no request may start."""
    simulator.control(status=401, latency_ms=300)
    answer = send(provider(simulator.url, FakeToken("old", "secret")), 1.2)
    assert answer == Answer(AnswerKind.UNAUTHORIZED, "http_401", 401)
    assert simulator.received()["requests"] == 1


def test_without_a_token_nothing_is_sent(simulator: RunningSimulator) -> None:
    assert send(provider(simulator.url, FakeToken())) == Answer(AnswerKind.UNAUTHORIZED, "no_token")
    assert simulator.received()["requests"] == 0


@pytest.mark.parametrize("token", ["two\r\nlines", "no \u2603 header"])
def test_a_token_that_no_header_can_hold_is_no_crash(simulator: RunningSimulator, token: str) -> None:
    assert send(provider(simulator.url, FakeToken(token))).kind is not AnswerKind.ACCEPTED
    assert simulator.received()["requests"] == 0


# --- Size and connections


@pytest.mark.parametrize(("size", "kind"), [(MAX_BODY_BYTES, AnswerKind.ACCEPTED), (MAX_BODY_BYTES + 1, None)])
def test_a_body_above_64_kib_is_not_read(
    serve: Callable[[Script], RawServer], size: int, kind: AnswerKind | None
) -> None:
    server = serve(answering(response(OK_BODY.ljust(size))))
    answer = send(provider(server.url))
    assert answer == (Answer(kind, status=200) if kind else Answer(AnswerKind.BROKEN, "too_large", 200))


def test_a_body_without_end_is_left_at_once(serve: Callable[[Script], RawServer]) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(b" " * 65536)

    assert send(provider(serve(script).url), 5) == Answer(AnswerKind.BROKEN, "too_large", 200)


def test_a_packed_body_is_measured_unpacked(serve: Callable[[Script], RawServer]) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    server = serve(answering(response(bomb, "200 OK", "Content-Encoding: gzip")))
    assert send(provider(server.url)) == Answer(AnswerKind.BROKEN, "too_large", 200)


@pytest.mark.parametrize("status", ["200 OK", "503 Busy", "400 Bad Request"])
def test_a_connection_is_kept_whatever_the_answer(serve: Callable[[Script], RawServer], status: str) -> None:
    server = serve(answering(*[response(OK_BODY, status)] * 5))
    client = provider(server.url)
    assert len({send(client).kind for _ in range(5)}) == 1
    assert server.connections == 1


def test_a_connection_that_the_provider_closed_is_made_anew(serve: Callable[[Script], RawServer]) -> None:
    server = serve(answering(response(OK_BODY, "200 OK", "Connection: close")))
    client = provider(server.url)
    assert [send(client).kind for _ in range(3)] == [AnswerKind.ACCEPTED] * 3
    assert server.connections == 3


def test_32_threads_share_a_client(simulator: RunningSimulator) -> None:
    simulator.control(latency_ms=20)
    client = provider(simulator.url)
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda number: send(client, 5, number), range(1, 321)))
    assert answers == [Answer(AnswerKind.ACCEPTED, status=200)] * 320
    received = simulator.received()
    assert (received["requests"], received["unique"], received["duplicates"]) == (320, 320, 0)


def test_proxies_of_the_environment_are_not_asked(simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert send(provider(simulator.url)).kind is AnswerKind.ACCEPTED
