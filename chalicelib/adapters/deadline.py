"""A wall-clock deadline for HTTP calls: `requests` only limits the silence between two bytes.

A watchdog shuts the socket of a call that is overdue; whatever the other side does (slow headers, slow drip, a
hang), the thread that waits on it gets an error at once.
"""

import heapq
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Call:
    """One call under a deadline.

    Attributes:
        connected: the request may have reached the other side.
        overdue: the watchdog ended it.
        ended: it is over, in whatever way.
    """

    def __init__(self) -> None:
        self.connected = False
        self.overdue = False
        self.ended = False
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()

    def uses(self, connection: HTTPConnection) -> None:
        """Tell which connection carries the call; also again once it is connected.

        The socket is kept, not the connection: that one forgets its socket when an answer is to end with it.
        """
        with self._lock:
            if connection.sock is not None:
                self.connected = True
                self._sock = connection.sock
                if self.overdue:
                    _shut(self._sock)

    def end(self) -> None:
        """Leave the socket alone from here on: it may carry another call."""
        with self._lock:
            self.ended = True
            self._sock = None

    def cut(self) -> None:
        """Shut the socket, unless the call has ended."""
        with self._lock:
            if self.ended:
                return
            self.overdue = True
            if self._sock is not None:
                _shut(self._sock)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        sock.shutdown(socket.SHUT_RDWR)


_current = threading.local()


class _Watched:
    """Mixed into connections: tells the call of this thread which socket it is on.

    It also sends a request in one piece. http.client sends head and body apart: two system calls and two packets, and
    between them, among many threads, a wait for the interpreter's lock.
    """

    _held: list[bytes] | None = None

    def connect(self) -> None:
        call: Call | None = getattr(_current, "call", None)
        if call:
            call.uses(self)  # type: ignore[arg-type]
        super().connect()  # type: ignore[misc]
        if call:
            call.uses(self)  # type: ignore[arg-type]

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to urllib3
        call: Call | None = getattr(_current, "call", None)
        if call:
            call.uses(self)  # type: ignore[arg-type]
        self._held = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            held = b"".join(self._held)
        finally:
            self._held = None
        super().send(held)  # type: ignore[misc]

    def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, as http.client has them
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)


class _WatchedHTTPConnection(_Watched, HTTPConnection):
    pass


class _WatchedHTTPSConnection(_Watched, HTTPSConnection):
    pass


class _WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTPConnection


class _WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """A transport of `requests` to one host, whose calls can be made `within` a time."""

    def __init__(self, pool_size: int) -> None:
        self._watchdog = _Watchdog()
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to urllib3
        """Make pools of watched connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedHTTPPool, "https": _WatchedHTTPSPool}

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed through to requests
        """Return the pool of the one host that this transport speaks to; requests works it out for each request."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def request_url(self, request: PreparedRequest, *_: Any) -> str:  # noqa: ANN401 - there are no proxies
        """Return what comes behind the host; requests parses the address three times."""
        return "/" + str(request.url).partition("#")[0].split("/", 3)[3]

    def build_response(self, _: PreparedRequest, resp: Any) -> Response:  # noqa: ANN401 - of urllib3
        """Return an answer of status, headers and body: nobody asks for cookies, encoding, or what was asked."""
        response = Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response

    @contextmanager
    def within(self, seconds: float) -> Iterator[Call]:
        """End the calls that this thread makes inside when the time is over."""
        call = Call()
        _current.call = call
        self._watchdog.watch(call, time.monotonic() + seconds)
        try:
            yield call
        finally:
            call.end()
            _current.call = None


class _Watchdog:
    """A thread that cuts calls when they are overdue; started with the first call.

    It sleeps until the oldest call that goes on is due, not until each of those that have ended since would have been.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, Call]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, call: Call, deadline: float) -> None:
        with self._changed:
            entry = (deadline, next(self._order), call)
            heapq.heappush(self._calls, entry)
            if self._calls[0] is entry:
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._calls and self._calls[0][2].ended:
                    heapq.heappop(self._calls)
                if not self._calls:
                    self._changed.wait()
                    continue
                deadline, _, call = self._calls[0]
                remaining = deadline - time.monotonic()
                if remaining > 0:
                    self._changed.wait(remaining)
                    continue
                heapq.heappop(self._calls)
            call.cut()
