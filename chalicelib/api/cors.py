"""Cross-origin requests (the Fetch standard): closed, but for the origins that the operator names.

Tokens travel in a header that pages set themselves, so there are no credentials in the browser's sense to allow.
"""

from collections.abc import Collection
from http import HTTPStatus

from chalice.app import Request, Response

_METHODS = "GET, HEAD, POST, PATCH, DELETE"  # of every address alike: who may know which exist has a token
_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id"
_EXPOSED = "ETag, Idempotency-Replayed, Location, Retry-After, WWW-Authenticate, X-Request-Id"
_MAX_AGE_SECONDS = 600


def is_preflight(request: Request) -> bool:
    """Tell whether a browser asks what another one may do; it never has a token then."""
    asked = request.headers
    return request.method == "OPTIONS" and "origin" in asked and "access-control-request-method" in asked


def preflight() -> Response:
    """Answer a preflight: without a body, and by headers that every answer to a known origin carries."""
    return Response("", status_code=HTTPStatus.NO_CONTENT)


def share(request: Request, response: Response, origins: Collection[str]) -> None:
    """Let pages of these origins read an answer, and no others."""
    if not origins:
        return
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("origin", "")
    if origin not in origins:
        return
    response.headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}
    if is_preflight(request):
        response.headers |= {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        }
