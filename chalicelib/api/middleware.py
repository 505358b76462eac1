"""What happens around every request: token, routing errors, one log line, headers."""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from chalice.app import Chalice, Request, Response

from chalicelib.api.auth import authenticate
from chalicelib.api.parameters import could_be_id, known_ids
from chalicelib.api.problems import HttpError, answers_problems, problem
from chalicelib.api.resource import PRINCIPAL, Operation
from chalicelib.bootstrap import application
from chalicelib.errors import NotFoundError
from chalicelib.observability import logger

OPEN = frozenset({"health", "docs", "openapi.json"})  # by their first path segment

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
        request_id = request.context.get("requestId", "")
        with logger.append_context_keys(request_id=request_id):
            response = _as_problem(self._answer(request, get_response))
            _complete(response, request_id)
            logger.info(
                "request answered",
                extra={
                    "method": request.method,
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
        unrouted = request.path not in self._app.routes
        segments = (request.uri_params or {}).get("proxy", request.path[1:]).split("/")
        if segments[0] not in OPEN:
            principal = authenticate(request, application().access_tokens)
            request.context[PRINCIPAL] = principal
            operation = self._operations.get((request.path, request.method))
            if operation and operation.scope:
                principal.require(operation.scope)
        if unrouted:
            raise self._routing_error(segments)
        return get_response(request)

    def _routing_error(self, segments: list[str]) -> Exception:
        allowed = {
            method
            for route, methods in self._app.routes.items()
            if _matches(route.split("/")[1:], segments)
            for method in methods
        }
        if allowed:
            return HttpError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "this address does not know that method",
                {"Allow": ", ".join(sorted(allowed))},
            )
        return NotFoundError("there is nothing at this address")


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


def _complete(response: Response, request_id: str) -> None:
    response.headers |= {
        "Content-Type": response.headers.get("Content-Type", "application/json"),
        "X-Request-Id": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": response.headers.get("Cache-Control", "no-store"),
    }
    if response.headers["Content-Type"] == "application/problem+json":
        response.body |= {"instance": f"urn:vestnik:request:{request_id}", "request_id": request_id}
