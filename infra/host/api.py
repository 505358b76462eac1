"""The API over HTTP: gunicorn in the place of API Gateway, one request at a time in a process, as in a Lambda.

A connection serves one request. A proxy that takes slow callers' requests whole must stand before it.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from gunicorn.app.base import BaseApplication
from gunicorn.http import errors
from gunicorn.workers.sync import SyncWorker

from infra.host.context import Context
from infra.host.functions import Function, functions
from infra.host.gateway_event import Headers, Routes, answer_of, proxy_event
from infra.host.log_shipping import LogShipper

MOST_BYTES = 10_000_000  # of a body, as API Gateway takes; the application itself takes less
LONGEST_HEADER = 16_384  # bytes: what the application takes of all together

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Context], Mapping[str, Any]]
StartResponse = Callable[[str, Headers], object]


class Gateway:
    """A WSGI application that hands each request to the API's handler as API Gateway does."""

    def __init__(self, function: Function, handler: Handler, routes: Routes) -> None:
        self._function = function
        self._handler = handler
        self._routes = routes

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        body = _body(environ)
        if body is None:
            said = problem(413, "Request Entity Too Large", "the request is larger than 10 MB")
            status, headers, content = answer_of(said)
        else:
            status, headers, content = self._answer(environ, body)
        start_response(status, [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def _answer(self, environ: Mapping[str, Any], body: bytes) -> tuple[str, Headers, bytes]:
        path, query = target_of(environ["RAW_URI"])
        event = proxy_event(
            self._routes,
            environ["REQUEST_METHOD"],
            path,
            query,
            headers_of(environ),
            body,
            environ["REMOTE_ADDR"],
        )
        try:
            return answer_of(self._handler(event, Context.begin(self._function)))
        except Exception:  # the gateway's own boundary: it answers 502 for whatever a function does
            logger.exception("request not answered")
            return answer_of(problem(502, "Internal error", None))


class Worker(SyncWorker):
    """Answers what is no HTTP, or too much of it, in the shape of our own answers."""

    def handle_error(self, req: object, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ANN401 - gunicorn's
        """Answer a request that cannot be read."""
        refused = {
            errors.LimitRequestLine: (414, "URI Too Long"),
            errors.LimitRequestHeaders: (431, "Headers Too Large"),
        }
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, title = refused.get(type(exc), (400, "Bad Request"))
        line, headers, content = answer_of(problem(status, title, str(exc)))
        head = [f"HTTP/1.1 {line}", "Connection: close", f"Content-Length: {len(content)}"]
        head += [f"{name}: {value}" for name, value in headers]
        client.sendall("\r\n".join([*head, "", ""]).encode() + content)


class Server(BaseApplication):
    """Gunicorn, set up for the API; `WEB_CONCURRENCY` and gunicorn's other variables count as ever."""

    def __init__(self, bind: str, function: Function) -> None:
        self._bind = bind
        self._function = function
        super().__init__()

    def load_config(self) -> None:
        """Say what differs from gunicorn's own defaults."""
        self.cfg.set("bind", self._bind)
        self.cfg.set("worker_class", Worker)
        self.cfg.set("timeout", self._function.timeout_seconds + 1)  # so the arbiter kills what hangs
        self.cfg.set("graceful_timeout", self._function.timeout_seconds)
        self.cfg.set("limit_request_line", 0)  # up to gunicorn's buffer; the application says what is too long
        self.cfg.set("limit_request_field_size", LONGEST_HEADER)
        self.cfg.set("control_socket_disable", True)  # noqa: FBT003 - nobody asks for it
        self.cfg.set("worker_tmp_dir", None)

    def load(self) -> Gateway:
        """Load the application: in each worker, once."""
        from app import app  # noqa: PLC0415 - a second, which the arbiter does not need

        return Gateway(self._function, app, app.routes)


def target_of(uri: str) -> tuple[str, str]:
    """Split what stands in a request's first line into path and query; as for a proxy, it may name a host first."""
    if uri.startswith("/"):
        path, _, query = uri.partition("?")  # two slashes begin no host here
        return path, query
    target = urlsplit(uri)
    return target.path or "/", target.query


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """Read the headers, and add those of the gateway: what a caller says of ways before us is kept as said by it."""
    given = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            given[name.replace("_", "-").lower()] = environ[name]
    before = given.get("x-forwarded-for")
    caller = environ["REMOTE_ADDR"]
    given["x-forwarded-for"] = f"{before}, {caller}" if before else caller
    given["x-forwarded-proto"] = environ["wsgi.url_scheme"]
    given["x-forwarded-port"] = environ["SERVER_PORT"]
    return given


def problem(status: int, title: str, detail: str | None) -> dict[str, Any]:
    """Make an answer of the gateway's own, as infra/template.yaml has its gateway responses."""
    id_ = str(uuid4())
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body |= {"instance": f"urn:vestnik:request:{id_}", "request_id": id_}
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "application/problem+json",
            "X-Request-Id": id_,
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
        "body": json.dumps({name: value for name, value in body.items() if value is not None}),
    }


def _body(environ: Mapping[str, Any]) -> bytes | None:
    """Read the body; None if it is too large, which is known before it is read where its length is said."""
    if int(environ.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        return None
    body: bytes = environ["wsgi.input"].read(MOST_BYTES + 1)
    return body if len(body) <= MOST_BYTES else None


def run(bind: str) -> int:
    """Serve the API until told to stop."""
    Server(bind, functions()["api"]).run()
    return 0


def run_shipped(bind: str, shipper: LogShipper) -> int:
    """Serve the API by a child, whose lines are shipped: no thread may stand beside gunicorn when it forks."""
    command = [sys.executable, "-m", "infra.host", "api", "--bind", bind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"SHIP_LOGS": ""}) as child:  # noqa: S603 - ourselves
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: child.send_signal(number))
        for line in child.stdout or ():
            shipper("api", line)
    shipper.close()
    return child.returncode
