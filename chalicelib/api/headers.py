"""Headers: of requests, read as HTTP means them; of answers, those that each one carries."""

import re

from chalice.app import Request, Response

from chalicelib.correlation import REQUEST_ID

_LOOPBACK = re.compile(r"(localhost|([a-z0-9-]+\.)+localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_SECURITY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TWO_YEARS = "max-age=63072000"


def header(request: Request, name: str) -> str | None:
    """Read a header of a request; one that stands there several times is one list, as RFC 9110 has it."""
    several: dict[str, list[str]] = request.to_original_event().get("multiValueHeaders") or {}
    found = [value for given, values in several.items() if given.lower() == name.lower() for value in values]
    return ", ".join(found) if found else request.headers.get(name)


def request_id(request: Request) -> str:
    """Name a request: as its sender does, if that is an id and nothing else, or as the gateway does."""
    given = request.headers.get("x-request-id", "")
    return str(given if REQUEST_ID.fullmatch(given) else request.context.get("requestId", ""))


def is_on_loopback(request: Request) -> bool:
    """Tell whether a browser sees this address on its own machine, where there is no TLS."""
    return bool(_LOOPBACK.fullmatch(request.headers.get("host", "localhost")))


def secure(request: Request, response: Response) -> None:
    """Add what keeps a browser from doing more with an answer than to read it; an answer's own headers stay.

    On loopback nothing asks for TLS: there is none, and a browser would remember it for all programs there.
    """
    if not _LOOPBACK.fullmatch(request.headers.get("host", "")):
        response.headers.setdefault("Strict-Transport-Security", _TWO_YEARS)
    for name, value in _SECURITY.items():
        response.headers.setdefault(name, value)
