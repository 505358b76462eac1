"""What happens around every request: token, routing errors, one log line, headers."""

import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from chalice.app import Chalice, Request, Response

from chalicelib.api.auth import Principal, authenticate, authenticate_scraper
from chalicelib.api.cors import is_preflight, preflight, share
from chalicelib.api.headers import request_id, secure
from chalicelib.api.limits import check_size
from chalicelib.api.parameters import could_be_id, known_ids
from chalicelib.api.problems import HttpError, answers_problems, problem
from chalicelib.api.resource import PRINCIPAL, Operation
from chalicelib.bootstrap import application
from chalicelib.correlation import correlated
from chalicelib.errors import ConfigurationError, NotFoundError
from chalicelib.observability import logger

OPEN = frozenset(
    {"health", "docs", "openapi.json", "admin"}
)  # by their first path segment; pages have a door of their own

SCRAPED = "metrics"  # has a secret of its own, beside tokens

Handler = Callable[[Request], Response]


class Middleware:
    """The HTTP middleware of one Chalice app.

    The token is asked for before anything is said about routes: without it, every path but the open ones answers
    401, so that nobody without a token can find out which exist.
    """

    def __init__(self, app: Chalice, operations: Mapping[tuple[str, str], Operation]) -> None:
        self._app = app
        self._operations = operations  # by path and method

    def __call__(self, request: Request, get_response: Handler) -> Response:
        """Answer a request."""
        started = time.perf_counter()
        method, id_ = request.method, request_id(request)
        with correlated(id_):
            response = _as_problem(self._answer(request, get_response))
            _complete(request, response, id_)
            if method == "HEAD":
                response.body = ""
            logger.info(
                "request answered",
                extra={
                    "gateway_request_id": request.context.get("requestId"),
                    "method": method,
                    "route": request.path,
                    "status": response.status_code,
                    "duration_ms": round((time.perf_counter() - started) * 1000),
                    "subject": principal.subject if (principal := request.context.get(PRINCIPAL)) else None,
                    **known_ids(request.uri_params or {}),
                },
            )
        return response

    @answers_problems
    def _answer(self, request: Request, get_response: Handler) -> Response:
        if is_preflight(request):
            return preflight()
        segments = (request.uri_params or {}).get("proxy", request.path[1:]).split("/")
        if request.method == "HEAD":
            self._route_as_get(request, segments)
        operation = self._operations.get((request.path, request.method))
        if segments[0] not in OPEN:
            principal = _principal(request, segments)
            request.context[PRINCIPAL] = principal
            if operation and operation.scope:
                principal.require(operation.scope)
        check_size(request)
        if request.path not in self._app.routes:
            raise self._routing_error(segments)
        return get_response(request)

    def _routing_error(self, segments: list[str]) -> Exception:
        allowed = {method for route in self._routes_to(segments) for method in self._app.routes[route]}
        if "GET" in allowed:
            allowed.add("HEAD")
        if allowed:
            return HttpError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "this address does not know that method",
                {"Allow": ", ".join(sorted(allowed))},
            )
        return NotFoundError("there is nothing at this address")

    def _route_as_get(self, request: Request, segments: list[str]) -> None:
        """Have HEAD answered as GET is: no route has it, so the gateway sends it here by the greedy path.

        Chalice looks into the event for where to go, and everything else into the request.
        """
        for route in self._routes_to(segments):
            if "GET" in self._app.routes[route]:
                pairs = zip(route.split("/")[1:], segments, strict=True)
                request.uri_params = {name[1:-1]: segment for name, segment in pairs if name[:1] == "{"} or None
                request.path, request.method = route, "GET"
                event = request.to_original_event()
                event["pathParameters"] = request.uri_params
                event["requestContext"] |= {"resourcePath": route, "httpMethod": "GET"}

    def _routes_to(self, segments: list[str]) -> list[str]:
        return [route for route in self._app.routes if _matches(route.split("/")[1:], segments)]


def _principal(request: Request, segments: list[str]) -> Principal:
    built = application()
    if segments == [SCRAPED]:
        return authenticate_scraper(request, built.access_tokens, built.scrape_secret)
    return authenticate(request, built.access_tokens)


def _matches(route: list[str], segments: list[str]) -> bool:
    return len(route) == len(segments) and all(
        (part.startswith("{") and could_be_id(segment)) or part == segment
        for part, segment in zip(route, segments, strict=True)
    )


def _as_problem(response: Response) -> Response:
    """Put Chalice's own answers (405, 415, 500) into our shape."""
    body: Any = response.body
    if isinstance(body, dict) and body.keys() == {"Code", "Message"}:
        headers = {
            name: value for name, value in response.headers.items() if name == "Allow" and isinstance(value, str)
        }
        return problem(response.status_code, body["Message"], headers=headers)
    return response


def _complete(request: Request, response: Response, id_: str) -> None:
    response.headers.setdefault("Content-Type", "application/json")
    response.headers["X-Request-Id"] = id_
    secure(request, response)
    share(request, response, _origins())
    if response.headers["Content-Type"] == "application/problem+json":
        response.body |= {"instance": f"urn:vestnik:request:{id_}", "request_id": id_}


def _origins() -> Collection[str]:
    try:
        origins: Collection[str] = application().settings.cors_origins
    except ConfigurationError:
        return ()  # the answer is a 500 already, and the log has the cause
    return origins
