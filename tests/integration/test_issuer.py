"""What the issuer publishes, over real HTTP, from servers that do what they like."""

import gzip
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from chalicelib.adapters import issuer as adapter
from chalicelib.adapters.id_tokens import IdTokens
from chalicelib.adapters.issuer import MAX_DOCUMENT_BYTES, Issuer
from chalicelib.adapters.issuer_keys import READ_AT_MOST_EVERY, IssuerKeys
from chalicelib.adapters.logins import Logins
from chalicelib.errors import RefusedTokenError, TransientError
from tests.raw_server import RawServer, raw_server, reset

OLD = ECKey.generate_key("P-256", {"kid": "old"})
NEW = ECKey.generate_key("P-256", {"kid": "new"})
DISCOVERY = "/.well-known/openid-configuration"
Answer = Callable[[socket.socket], None]


class Published:
    """An issuer's addresses, and what each answers: JSON, or whatever a function does to the connection."""

    def __init__(self, server: RawServer, answers: dict[str, object]) -> None:
        self.url = server.url
        self.answers = answers
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.answers[DISCOVERY] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.publish(OLD)

    def publish(self, *keys: ECKey) -> None:
        self.answers["/keys"] = {"keys": [key.as_dict(private=False) for key in keys]}


@contextmanager
def published() -> Iterator[Published]:
    answers: dict[str, object] = {}
    made: list[Published] = []

    def serve(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        path = head.split()[1].decode()
        made[0].asked.append(path)
        made[0].heads.append(head.decode())
        answer = answers[path]
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(response(json.dumps(answer).encode()))

    with raw_server(serve) as server:
        made.append(Published(server, answers))
        yield made[0]


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    return lambda connection: connection.sendall(response(body, status, *headers))


@pytest.fixture
def site() -> Iterator[Published]:
    with published() as made:
        yield made


def test_keys_are_found_by_way_of_discovery(site: Published) -> None:
    assert Issuer(site.url).read_keys().find("old", "ES256") is not None
    assert site.asked == [DISCOVERY, "/keys"]


def test_an_issuer_whose_name_ends_with_a_slash_has_its_addresses_beneath_it(site: Published) -> None:
    named = f"{site.url}/tenant/"
    site.answers["/tenant/.well-known/openid-configuration"] = {"issuer": named, "jwks_uri": f"{site.url}/keys"}
    assert Issuer(named).read_keys().find("old", "ES256") is not None


def test_a_rotated_key_is_found_and_a_withdrawn_one_forgotten(site: Published) -> None:
    now = 0.0
    keys = IssuerKeys(Issuer(site.url), lambda: now)
    assert keys.find("old", "ES256") is not None
    site.publish(NEW)
    now = READ_AT_MOST_EVERY.total_seconds()
    assert keys.find("new", "ES256") is not None
    assert keys.find("old", "ES256") is None


def test_keys_that_moved_are_found(site: Published) -> None:
    issuer = Issuer(site.url)
    issuer.read_keys()
    site.answers["/elsewhere"] = {"keys": [NEW.as_dict(private=False)]}
    site.answers[DISCOVERY] = {"issuer": site.url, "jwks_uri": f"{site.url}/elsewhere"}
    assert issuer.read_keys().find("new", "ES256") is not None


def test_known_keys_go_on_when_the_issuer_is_gone() -> None:
    now = 0.0
    with published() as site:
        keys = IssuerKeys(Issuer(site.url), lambda: now)
        assert keys.find("old", "ES256") is not None
    now = 7200.0
    assert keys.find("old", "ES256") is not None
    with pytest.raises(TransientError, match="does not answer"):
        keys.find("new", "ES256")


def test_nobody_listens(site: Published) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(TransientError, match="does not answer"):
        Issuer(url).read_keys()
    assert site.asked == []


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Header: 1\r\n")
        time.sleep(0.05)


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def half(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"keys"')


BAD_ANSWERS: dict[str, tuple[Answer, str]] = {
    "hangs": (hang, "does not answer"),
    "drips": (drip, "does not answer"),
    "drips headers": (drip_headers, "does not answer within"),
    "resets": (reset, "does not answer"),
    "half an answer": (half, "does not answer|no JSON"),
    "endless": (endless, "larger than"),
    "too large": (saying(b" " * (MAX_DOCUMENT_BYTES + 1)), "larger than"),
    "a gzip bomb": (saying(gzip.compress(bytes(50_000_000)), "200 OK", "Content-Encoding: gzip"), "larger than"),
    "no gzip": (saying(b"{}", "200 OK", "Content-Encoding: gzip"), "does not answer"),
    "no HTTP": (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), "does not answer"),
    "empty": (saying(b""), "no JSON"),
    "HTML": (saying(b"<html>"), "no JSON"),
    "deep": (saying(b"[" * 100_000), "no JSON"),
    "no UTF-8": (saying(b'{"keys": "\xff"}'), "no JSON"),
    "a list": (saying(b"[]"), "no JSON object"),
    "404": (saying(b"{}", "404 Not Found"), "answers 404"),
    "500": (saying(b"{}", "500 Internal Server Error"), "answers 500"),
    "204": (saying(b"", "204 No Content"), "answers 204"),
    "redirect": (saying(b"", "302 Found", "Location: /keys"), "answers 302"),
}


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_is_a_passing_error_in_bounded_time(
    site: Published, bad: tuple[Answer, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "TIMEOUT_SECONDS", 0.5)
    answer, said = bad
    site.answers[path] = answer
    started = time.monotonic()
    with pytest.raises(TransientError, match=said):
        Issuer(site.url).read_keys()
    assert time.monotonic() - started < 5
    assert site.asked == [DISCOVERY, "/keys"][: 1 if path == DISCOVERY else 2]


@pytest.mark.parametrize("key_set", [{}, {"keys": []}, {"keys": "x"}, {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}])
def test_a_key_set_without_a_key_is_a_passing_error(site: Published, key_set: dict[str, Any]) -> None:
    site.answers["/keys"] = key_set
    with pytest.raises(TransientError, match="cannot be used"):
        Issuer(site.url).read_keys()


@pytest.mark.parametrize("named", ["https://attacker.test", "", None, "{url}/", ["{url}"]])
def test_a_configuration_of_another_issuer_is_not_believed(site: Published, named: object) -> None:
    named = named.format(url=site.url) if isinstance(named, str) else named
    site.answers[DISCOVERY] = {"issuer": named, "jwks_uri": f"{site.url}/keys"}
    with pytest.raises(TransientError, match="another issuer"):
        Issuer(site.url).read_keys()
    assert site.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "/keys",
        "http://issuer.test/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "http://[",
        "http://\x00",
    ],
)
def test_keys_are_read_from_no_unsafe_address(site: Published, address: object) -> None:
    site.answers[DISCOVERY] = {"issuer": site.url, "jwks_uri": address}
    with pytest.raises(TransientError, match="jwks_uri"):
        Issuer(site.url).read_keys()
    assert site.asked == [DISCOVERY]


def test_an_issuer_on_https_cannot_send_us_to_plain_http() -> None:
    with pytest.raises(ValueError, match="https"):
        adapter._checked("http://127.0.0.1/keys", issuer_scheme="https", plain_http_hosts=())
    with pytest.raises(ValueError, match="https"):
        adapter._checked("http://keys.test/", issuer_scheme="https", plain_http_hosts=["keys.test"])
    checked = adapter._checked("https://keys.test/", issuer_scheme="https", plain_http_hosts=())
    assert checked == "https://keys.test/"


def test_an_issuer_on_plain_http_leads_to_hosts_that_are_named_and_to_no_others(site: Published) -> None:
    site.answers[DISCOVERY] = {"issuer": site.url, "jwks_uri": "http://keys.test:9/"}
    with pytest.raises(TransientError, match="jwks_uri"):
        Issuer(site.url, ["other.test"]).read_keys()
    with pytest.raises(TransientError, match="does not answer"):
        Issuer(site.url, ["keys.test"]).read_keys()


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "own.pem"))
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            heard.append(encrypted.recv(1))

    with raw_server(serve) as server:
        with pytest.raises(TransientError, match="SSLError"):
            Issuer(server.url.replace("http", "https")).read_keys()
        assert server.connections == 1
    assert heard in ([], [b""])


def self_signed(file: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    return file


def test_no_proxy_and_no_credentials_of_the_environment_are_used(
    site: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Issuer(site.url).read_keys().find("old", "ES256") is not None
    assert not [head for head in site.heads if "authorization" in head.lower()]


def logs_in(site: Published, **others: object) -> Issuer:
    """Publish addresses of logins, or what is given in their place; returns the issuer."""
    usual = {
        "issuer": site.url,
        "jwks_uri": f"{site.url}/keys",
        "authorization_endpoint": f"{site.url}/authorize",
        "token_endpoint": f"{site.url}/token",
    }
    site.answers[DISCOVERY] = {name: value for name, value in (usual | others).items() if value is not None}
    site.answers["/token"] = {"id_token": "a.b.c"}
    return Issuer(site.url)


def test_where_users_log_in_is_read_once_an_hour(site: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = logs_in(site, end_session_endpoint=f"{site.url}/logout")
    found = [issuer.endpoints() for _ in range(3)][-1]
    assert (found.authorization, found.end_session) == (f"{site.url}/authorize", f"{site.url}/logout")
    assert site.asked == [DISCOVERY]
    later = time.monotonic() + 3601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert issuer.endpoints() == found
    assert site.asked == [DISCOVERY] * 2


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "end_session_endpoint"])
@pytest.mark.parametrize("address", ["http://attacker.test/x", "javascript:x", 7, ""])
def test_an_address_of_logins_that_is_none_is_a_passing_error(site: Published, name: str, address: object) -> None:
    with pytest.raises(TransientError, match=name):
        logs_in(site, **{name: address}).endpoints()


@pytest.mark.parametrize(
    ("secret", "methods", "authorization", "form"),
    [
        (None, None, None, {}),
        ("a+b:c", None, "Basic cGFnZXM6YSUyQmIlM0Fj", {}),
        ("a+b:c", ["client_secret_basic"], "Basic cGFnZXM6YSUyQmIlM0Fj", {}),
        ("a+b:c", ["client_secret_basic", "client_secret_post"], None, {"client_secret": ["a+b:c"]}),
    ],
)
def test_a_client_proves_itself_as_the_issuer_wants_it(
    site: Published, secret: str | None, methods: list[str] | None, authorization: str | None, form: dict[str, Any]
) -> None:
    issuer = logs_in(site, token_endpoint_auth_methods_supported=methods)
    assert [issuer.id_token({"code": "x"}, "pages", secret) for _ in range(2)] == ["a.b.c"] * 2
    head, _, body = site.heads[-1].partition("\r\n\r\n")
    assert (f"Authorization: {authorization}" in head) == (authorization is not None)
    assert ("Authorization:" in head) == (authorization is not None)
    usual = {"grant_type": ["authorization_code"], "code": ["x"], "client_id": ["pages"]}
    assert parse_qs(body) == usual | form


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden"])
def test_a_code_that_is_refused_is_no_passing_error(site: Published, status: str) -> None:
    issuer = logs_in(site)
    site.answers["/token"] = saying(b'{"error": "invalid_grant"}', status)
    with pytest.raises(RefusedTokenError, match="does not take the code"):
        issuer.id_token({"code": "x"}, "pages", None)


def test_an_answer_without_an_id_token_is_refused(site: Published) -> None:
    issuer = logs_in(site)
    site.answers["/token"] = {"access_token": "x"}
    with pytest.raises(RefusedTokenError, match="no id token"):
        issuer.id_token({"code": "x"}, "pages", None)


@pytest.mark.parametrize("bad", ["hangs", "endless", "a gzip bomb", "HTML", "500", "redirect"])
def test_a_bad_answer_to_a_code_is_a_passing_error_in_bounded_time(
    site: Published, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "TIMEOUT_SECONDS", 0.5)
    issuer = logs_in(site)
    answer, said = BAD_ANSWERS[bad]
    site.answers["/token"] = answer
    with pytest.raises(TransientError, match=said):
        issuer.id_token({"code": "x"}, "pages", None)


def test_an_issuer_without_a_logout_leaves_it_at_ours(site: Published) -> None:
    issuer = logs_in(site)
    tokens = IdTokens(IssuerKeys(issuer, time.monotonic), site.url, "pages", 30, lambda: datetime.now(UTC))
    assert Logins(issuer, tokens, "pages", None).end("https://vestnik.example/admin/logged-out") is None
