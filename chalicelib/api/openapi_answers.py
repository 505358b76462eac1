"""What operations can answer, in the words of OpenAPI."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from chalicelib.api.idempotency import REPLAYED
from chalicelib.api.openapi_schemas import Schemas
from chalicelib.api.problem_schemas import InvalidResponse, ProblemResponse
from chalicelib.api.resource import Operation

Json = dict[str, Any]

PROBLEMS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON in UTF-8.",
    HTTPStatus.UNAUTHORIZED: "There is no valid bearer token.",
    HTTPStatus.FORBIDDEN: "The token does not carry the scope that this needs; the detail names it.",
    HTTPStatus.NOT_FOUND: "There is none.",
    HTTPStatus.CONFLICT: "It stands against what there is, or is being done already; the detail says how.",
    HTTPStatus.PRECONDITION_FAILED: "It has changed since; its entity tag is none of those in `If-Match`.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The query is too long.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json`.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Some fields are not valid, and nothing was stored; `errors` names them.",
    HTTPStatus.TOO_MANY_REQUESTS: "There are too many requests at once; the gateway says so, before any is begun.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are too large.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours; the log has it under the request's id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Something that this needs does not answer; try again.",
}

HEADERS: Mapping[str, Json] = {
    "X-Request-Id": {"description": "which request it was; the log has it", "required": True},
    "Location": {
        "description": "address of what was created, relative to the one that was posted to",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "ETag": {"description": "entity tag of what is shown, for `If-Match` and `If-None-Match`", "required": True},
    REPLAYED: {"description": "`true` where a key was used before, and nothing was done again"},
    "WWW-Authenticate": {"description": "how to authenticate"},
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}},
}

_OF_EVERY_OPERATION = frozenset(
    {
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
_OF_SCOPES = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE})
_OF_BODIES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})
_HEADERS_OF: Mapping[HTTPStatus, tuple[str, ...]] = {
    HTTPStatus.NOT_MODIFIED: ("X-Request-Id", "ETag"),
    HTTPStatus.UNAUTHORIZED: ("X-Request-Id", "WWW-Authenticate"),
    HTTPStatus.FORBIDDEN: ("X-Request-Id", "WWW-Authenticate"),
    HTTPStatus.CONFLICT: ("X-Request-Id", "Retry-After"),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("X-Request-Id", "Retry-After"),
}


def shared_answers(schemas: Schemas) -> Json:
    """Describe the answers that are the same for all operations, by name."""
    not_modified = {
        "description": "It is what the client has already, by `If-None-Match`.",
        "headers": _headers(*_HEADERS_OF[HTTPStatus.NOT_MODIFIED]),
    }
    return {_name(HTTPStatus.NOT_MODIFIED): not_modified} | {
        _name(status): _problem(status, schemas) for status in PROBLEMS
    }


def shared_headers() -> Json:
    """Describe the headers of answers, by name."""
    return {name: {"schema": {"type": "string"}} | header for name, header in HEADERS.items()}


def answers_of(operation: Operation, schemas: Schemas) -> Json:
    """Describe what an operation can answer, by status: its own answer first."""
    own = {str(operation.status.value): _own(operation, schemas)}
    return own | {
        str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(_others(operation))
    }


def _others(operation: Operation) -> set[HTTPStatus]:
    found = {*_OF_EVERY_OPERATION, *operation.problems}
    if operation.scope:
        found |= _OF_SCOPES
    if operation.path_parameters:
        found |= {HTTPStatus.NOT_FOUND}
    if operation.body:
        found |= _OF_BODIES
    if operation.tagged and operation.method == "GET":
        found |= {HTTPStatus.NOT_MODIFIED}
    return found


def _own(operation: Operation, schemas: Schemas) -> Json:
    answer: Json = {"description": operation.status.phrase, "headers": _headers(*_own_headers(operation))}
    if operation.answer:
        answer["content"] = {"application/json": {"schema": schemas.shown(operation.answer)}}
    elif operation.media_types:
        answer["content"] = {
            media_type: {"schema": {"type": "object" if media_type == "application/json" else "string"}}
            for media_type in operation.media_types
        }
    return answer


def _own_headers(operation: Operation) -> Iterator[str]:
    yield "X-Request-Id"
    if operation.status is HTTPStatus.CREATED:
        yield "Location"
    if operation.tagged:
        yield "ETag"
    if operation.keyed:
        yield REPLAYED


def _problem(status: HTTPStatus, schemas: Schemas) -> Json:
    request_id = "4f8a1f0e-0000-4000-8000-000000000001"
    shape: type[ProblemResponse] = ProblemResponse
    example: Json = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": PROBLEMS[status].partition(";")[0].rstrip("."),
        "instance": f"urn:vestnik:request:{request_id}",
        "request_id": request_id,
    }
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        shape = InvalidResponse
        example["errors"] = [{"field": "window.from", "message": "Field required"}]
    return {
        "description": PROBLEMS[status],
        "headers": _headers(*_HEADERS_OF.get(status, ("X-Request-Id",))),
        "content": {"application/problem+json": {"schema": schemas.shown(shape), "example": example}},
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _name(status: HTTPStatus) -> str:
    return "".join(word.capitalize() for word in status.phrase.replace("-", " ").split())
