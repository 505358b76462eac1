"""An EventBridge Scheduler that takes schedules and never fires one, as LocalStack's does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class SilentScheduler:
    """One that answers at `url`: what it was given stands in `schedules`, by name."""

    url: str
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)

    def expression(self, name: str) -> str:
        """Return when a schedule should fire, as in at(2026-11-23T12:00:00)."""
        return str(self.schedules[name]["ScheduleExpression"])

    def answer(self, method: str, name: str, body: bytes) -> tuple[int, str]:
        """Create, update or delete a schedule; returns the status, and the error's name if there is one."""
        if method == "POST" and name in self.schedules:
            return 409, "ConflictException"
        if method != "POST" and name not in self.schedules:
            return 404, "ResourceNotFoundException"
        if method == "DELETE":
            del self.schedules[name]
        else:
            self.schedules[name] = json.loads(body)
        return 200, ""


@contextmanager
def silent_scheduler() -> Iterator[SilentScheduler]:
    """Run one on loopback while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, error = made.answer(self.command, urlsplit(self.path).path.removeprefix("/schedules/"), body)
            answer = json.dumps(
                {"Message": error} if error else {"ScheduleArn": "arn:aws:scheduler:::schedule"}
            ).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - so http.server wants it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        block_on_close = False  # a client may have connected and never ask

    with Server(("127.0.0.1", 0), Handler) as server:
        made = SilentScheduler(f"http://127.0.0.1:{server.server_port}")
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield made
        finally:
            server.shutdown()
            serving.join()
