"""A provider in this process: answers by the contract, and logs in the time of whoever asks."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chalicelib.ports import Clock
from tests.faults.auditor import SeenRequest

OK, BUSY = 200, 503
BUSY_SECONDS = "60"  # as the provider tells whom it sends away; a wait that is drawn would make each run another


@dataclass
class OwnProvider:
    """What it saw, and what it answers.

    Attributes:
        clock: says when a request came.
        status: of the answer to a message's n-th request (from 1), by phone; success unless told.
    """

    clock: Clock
    status: Callable[[int, int], int] = lambda _phone, _number: OK
    seen: list[SeenRequest] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, message_id: int, phone: int) -> int:
        """Log a request and say with which status it is answered."""
        with self._lock:
            number = 1 + sum(one.id == message_id for one in self.seen)
            status = self.status(phone, number)
            self.seen.append(SeenRequest(message_id, self.clock(), status == OK, misbehaved=status != OK))
        return status

    def forget(self) -> None:
        """Begin anew: success, and nothing seen."""
        self.status = lambda _phone, _number: OK
        self.seen = []


@contextmanager
def own_provider(clock: Clock) -> Iterator[OwnProvider]:
    """Serve on a free port of loopback while the block runs."""
    provider = OwnProvider(clock)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = provider.answer(body["id"], body["phone"])
            content = json.dumps({"code": 0, "message": "OK"} if status == OK else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if status == BUSY:
                self.send_header("Retry-After", BUSY_SECONDS)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
