"""A request, received whole, and the answer to it, ready to be written."""

from __future__ import annotations

import json
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEPT_BODY_BYTES = 16 * 1024 * 1024
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Request(NamedTuple):
    """A request, received whole.

    `headers` have lower-case names. `size` counts the whole body; of one above `KEPT_BODY_BYTES`, `body` lacks the end.
    `started_at` and `received_at` are the moments of the first and the last byte (seconds since the epoch).
    """

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes | bytearray
    size: int
    started_at: float
    received_at: float


class Cut(Enum):
    """How an answer is broken off, the connection with it."""

    RESET = "not a byte of it, and a TCP reset"
    HALF = "the head and half of the body, then an orderly end"


class Answer(NamedTuple):
    """An answer, to be written `delay_seconds` after its request, bit by bit over `drip_seconds`.

    `finished` is called once it is written, or cannot be any more.
    """

    status: int
    head: bytes
    body: bytes
    delay_seconds: float = 0
    drip_seconds: float = 0
    cut: Cut | None = None
    finished: Callable[[], None] = lambda: None

    @property
    def resets(self) -> bool:
        """Tell whether nothing of it reaches the client."""
        return self.cut is Cut.RESET


def answer(
    status: int,
    body: bytes = b"",
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Build an answer, its head ready but for the date."""
    fields = dict(headers or {})
    if status in _BODILESS:
        body = b""
    else:
        fields |= {"Content-Type": content_type, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} {reason_phrase(status)}", *(f"{name}: {value}" for name, value in fields.items()), ""]
    return Answer(status, "\r\n".join(lines).encode("ascii"), body)


def json_answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Build an answer that carries JSON."""
    return answer(status, json.dumps(content).encode(), headers=headers)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> Answer:
    """Build an RFC 9457 answer; `members` extend it."""
    content = {"type": "about:blank", "title": reason_phrase(status), "status": status, "detail": detail, **members}
    return answer(status, json.dumps(content).encode(), "application/problem+json", headers)


def reason_phrase(status: int) -> str:
    """Return the status in words, empty for one that has no registered name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
