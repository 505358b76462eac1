"""What API Gateway makes of a request, and of the application's answer: a Lambda proxy integration of a REST API."""

import base64
import time
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote
from uuid import uuid4

PROXY = "/{proxy+}"

Routes = Mapping[str, Collection[str]]
"""The methods of each path, as Chalice has them."""

Headers = list[tuple[str, str]]


def resolve(routes: Routes, method: str, path: str) -> tuple[str, dict[str, str]]:
    """Find the resource that a request is for, and its path parameters, still encoded.

    Path and method are looked for as a pair, a slash at the end is passed over, a fixed segment goes above a parameter,
    and what no resource takes is left to the greedy one.
    """
    segments = path.removesuffix("/").split("/")
    for route in sorted(routes, key=lambda route: route.count("{")):
        parts = route.split("/")
        if method in routes[route] and len(parts) == len(segments):
            pairs = list(zip(parts, segments, strict=True))
            if all(part == segment or (part.startswith("{") and segment) for part, segment in pairs):
                return route, {part[1:-1]: quote(segment, safe="%") for part, segment in pairs if part[:1] == "{"}
    return (PROXY, {"proxy": path[1:]}) if path != "/" else ("/", {})


def proxy_event(
    routes: Routes,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    source_ip: str,
    stage: str = "",
) -> dict[str, Any]:
    """Make the event of a request; `path` is without the stage, `headers` by small names."""
    resource, parameters = resolve(routes, method, path)
    query_parameters = parse_qs(query, keep_blank_values=True)
    text, is_base64 = _as_text(body)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query_parameters.items()} or None,
        "multiValueQueryStringParameters": query_parameters or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": f"/{stage}{path}" if stage else path,
            "requestId": str(uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "stage": stage,
            "identity": {"sourceIp": source_ip, "userAgent": headers.get("user-agent")},
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


def _as_text(body: bytes | None) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def answer_of(returned: Mapping[str, Any]) -> tuple[str, Headers, bytes]:
    """Read what the application returned: status line, headers, body.

    Raises:
        KeyError, TypeError, ValueError: it is no answer.
    """
    status = HTTPStatus(returned["statusCode"])
    headers = [*_headers(returned)]
    body = returned.get("body") or ""
    content = base64.b64decode(body, validate=True) if returned.get("isBase64Encoded") else body.encode()
    return f"{status.value} {status.phrase}", headers, content


def _headers(returned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    several = returned.get("multiValueHeaders") or {}
    for name, value in (returned.get("headers") or {}).items():
        if name not in several:
            yield name, str(value)
    for name, values in several.items():
        for value in values:
            yield name, str(value)
