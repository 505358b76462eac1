"""HTTP/1.1 on one connection: requests as they come in, their answers in the same order, each at its time."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from simulated_provider.messages import KEPT_BODY_BYTES, Answer, Cut, Request, problem

if TYPE_CHECKING:
    from collections.abc import Callable

_DRIPS = 100  # bits of an answer that drips
_MAX_UNANSWERED = 256  # pipelined requests on one connection; further ones wait in the socket
# On, with 0 seconds: closing sends a reset instead of an orderly end.
_LINGER_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


@lru_cache(maxsize=1)
def _date_line(epoch_second: int) -> bytes:
    return f"Date: {formatdate(epoch_second, usegmt=True)}\r\n".encode("ascii")


@dataclass(slots=True)
class _Exchange:
    """A request's place in the order of answers."""

    answer: Answer
    with_body: bool
    keep_alive: bool
    timer: asyncio.TimerHandle | None = None
    due: bool = False


class Connection(asyncio.Protocol):
    """Feeds a connection's requests to `application` and writes what it answers; stands in `among` while it is open.

    A client that ends its sending side is taken as gone: what it is still owed is dropped, so that a call which timed
    out no longer counts as in flight.
    """

    def __init__(self, application: Callable[[Request], Answer], among: set[Connection]) -> None:
        self._application = application
        self._among = among
        self._parser = HttpRequestParser(self)
        self._exchanges: deque[_Exchange] = deque()
        self._accepts_requests = True
        self._writable = True
        self._owes_continue = False
        self._transport: asyncio.Transport

    def abort(self) -> None:
        """Close at once, whatever is owed."""
        self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came; whole requests reach `on_message_complete`."""
        if not self._accepts_requests:
            return
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError:
            raise  # a fault of this program, not of the client
        except HttpParserUpgrade:
            pass  # the request that asked for it is answered, in HTTP/1.1, and was the last
        except HttpParserError as error:
            if self._accepts_requests:  # else: bytes after the last request
                self._append(problem(HTTPStatus.BAD_REQUEST, f"malformed HTTP: {error}"), keep_alive=False)
        self._govern_reading()

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers."""
        self._writable = False
        self._govern_reading()

    def resume_writing(self) -> None:
        """Go on once it has read them."""
        self._writable = True
        self._govern_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """Drop what cannot be answered any more."""
        self._among.discard(self)
        for exchange in self._exchanges:
            if exchange.timer:
                exchange.timer.cancel()
            exchange.answer.finished()
        self._exchanges.clear()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Start a request."""
        self._started_at = time.time()
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """Take the target, which comes in parts when packets split it."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Ask for the body where the client waits to be asked."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._owes_continue = True
            self._flush()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._size += len(body)
        if len(self._body) < KEPT_BODY_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        """Have the request answered."""
        if not self._accepts_requests or self._transport.is_closing():
            return
        self._owes_continue = False
        parser = self._parser
        method = parser.get_method().decode("ascii")
        request = Request(
            method,
            self._target.decode("latin-1"),
            self._headers,
            self._body,
            self._size,
            self._started_at,
            time.time(),
        )
        # HTTP/1.0 would have to be told that a connection is kept; it is simply ended.
        keep_alive = parser.should_keep_alive() and not parser.should_upgrade() and parser.get_http_version() != "1.0"
        self._append(self._application(request), with_body=method != "HEAD", keep_alive=keep_alive)

    # Answers.

    def _append(self, answer: Answer, *, with_body: bool = True, keep_alive: bool = True) -> None:
        exchange = _Exchange(answer, with_body, keep_alive)
        self._exchanges.append(exchange)
        self._accepts_requests = keep_alive
        if answer.delay_seconds:
            exchange.timer = asyncio.get_running_loop().call_later(answer.delay_seconds, self._ripen, exchange)
        else:
            self._ripen(exchange)

    def _ripen(self, exchange: _Exchange) -> None:
        exchange.due = True
        self._flush()
        self._govern_reading()

    def _flush(self) -> None:
        """Write the answers whose turn and time have come."""
        while self._exchanges and self._exchanges[0].due and not self._transport.is_closing():
            exchange = self._exchanges[0]
            if exchange.answer.resets:
                self._reset()
            elif exchange.answer.drip_seconds:
                exchange.due = False  # until its last bit is written, the answers behind it wait
                self._drip(exchange, self._bytes(exchange))
                return
            else:
                self._transport.write(self._bytes(exchange))
            self._end(exchange)
        if self._owes_continue and not self._exchanges and not self._transport.is_closing():
            self._owes_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _bytes(self, exchange: _Exchange) -> bytes:
        answer = exchange.answer
        body = answer.body if exchange.with_body else b""
        if answer.cut is Cut.HALF:
            body = body[: len(body) // 2]
        closing = b"" if exchange.keep_alive else b"Connection: close\r\n"
        return b"".join((answer.head, _date_line(int(time.time())), closing, b"\r\n", body))

    def _drip(self, exchange: _Exchange, content: bytes, written: int = 0) -> None:
        """Write the next of the bits, then the others, each at its time."""
        size = -(-len(content) // _DRIPS)
        self._transport.write(content[written : written + size])
        written += size
        if written < len(content):
            pause = exchange.answer.drip_seconds * size / len(content)
            exchange.timer = asyncio.get_running_loop().call_later(pause, self._drip, exchange, content, written)
        else:
            self._end(exchange)
            self._flush()
            self._govern_reading()

    def _reset(self) -> None:
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._transport.abort()

    def _end(self, exchange: _Exchange) -> None:
        self._exchanges.popleft()
        exchange.answer.finished()
        if exchange.answer.cut is Cut.HALF or not exchange.keep_alive:
            self._transport.close()

    def _govern_reading(self) -> None:
        if self._writable and len(self._exchanges) < _MAX_UNANSWERED:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
