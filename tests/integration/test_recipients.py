"""`make recipients` by its command line, where there is no API, and where it refuses."""

import json
import socket
from pathlib import Path

import pytest

import recipients
from tests.raw_server import raw_server, read_request

MAILING = "01M83JE3427E3MCK0QZRJNQ9ET"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API", "TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_stack_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipients.main(["--mailing", MAILING, "--stack", str(tmp_path / "stack.json")]) == 1
    assert "start the stack with: make up; or set API and TOKEN" in capsys.readouterr().err


def test_clients_that_are_gone_have_no_phone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(connection: socket.socket) -> None:
        path = read_request(connection).split()[1].decode()
        asked.append(path)
        row = {"id": 7, "client_id": "01C", "sent_at": "2026-11-23T10:00:00.000Z", "status": "sent"}
        status, body = "404 Not Found", "{}"
        if "messages" in path:
            last = "cursor" in path
            status, body = "200 OK", json.dumps({"items": [] if last else [row], "next": None if last else "2"})
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall((head + body).encode())

    with raw_server(answer) as api:
        monkeypatch.setenv("API", api.url)
        monkeypatch.setenv("TOKEN", "any")
        assert recipients.main(["--mailing", MAILING, "--status", "failed"]) == 0
    assert capsys.readouterr().out == "phone,client_id,message_id,sent_at\n,01C,7,2026-11-23T10:00:00.000Z\n"
    assert asked == [
        f"/mailings/{MAILING}/messages?status=failed&limit=500",
        "/clients/01C",
        f"/mailings/{MAILING}/messages?status=failed&limit=500&cursor=2",
    ]


def test_what_the_api_refuses_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\nscope")

    with raw_server(refuse) as api:
        monkeypatch.setenv("API", api.url)
        monkeypatch.setenv("TOKEN", "any")
        assert recipients.main(["--mailing", MAILING]) == 1
    assert "answers 403: scope" in capsys.readouterr().err
