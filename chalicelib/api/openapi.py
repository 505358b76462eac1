"""The OpenAPI 3.1 document: what the operations declare, in the words of that standard."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from chalicelib import __version__
from chalicelib.api.openapi_schemas import Schemas
from chalicelib.api.parameters import PATH_PARAMETERS
from chalicelib.api.problem_schemas import InvalidResponse, ProblemResponse
from chalicelib.api.resource import Operation
from chalicelib.api.scopes import MEANINGS

Json = dict[str, Any]

_SUMMARY = re.compile(r"[.;:](?:\s+|$)")  # where the first thing that a docstring says ends

TAGS = {
    "clients": "Whom messages can be sent to: one client for each phone.",
    "suppressions": "Phones that no message goes to: who opted out.",
    "mailings": "What is sent to whom and when, and control over it.",
    "messages": "One message for each client of a mailing: where it is, and why.",
    "statistics": "Counts over all mailings, and everything that is counted of one.",
    "dead letters": "Tickets that failed by a fault of ours, and their way back.",
    "service": "The service itself.",
}

PROBLEMS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON in UTF-8.",
    HTTPStatus.UNAUTHORIZED: "There is no valid bearer token.",
    HTTPStatus.FORBIDDEN: "The token does not carry the scope that this needs; the detail names it.",
    HTTPStatus.NOT_FOUND: "Nothing has this id.",
    HTTPStatus.CONFLICT: "It stands against what there is; the detail says how.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json`.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Some fields are not valid, and nothing was stored; `errors` names them.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours; the log has it under the request's id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Something that this needs does not answer; try again.",
}

_HEADERS: Mapping[str, Json] = {
    "X-Request-Id": {"description": "which request it was; the log has it", "schema": {"type": "string"}},
    "Location": {
        "description": "address of what was created, relative to the one that was posted to",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "WWW-Authenticate": {"description": "how to authenticate", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}},
}
_HEADERS_OF = {
    HTTPStatus.CREATED: ("Location",),
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.FORBIDDEN: ("WWW-Authenticate",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


def document(operations: Sequence[Operation]) -> Json:
    """Describe the API; the order of operations is that in which they are declared."""
    schemas = Schemas(operations, (ProblemResponse, InvalidResponse))
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vestnik",
            "version": __version__,
            "summary": "Sends mailings, and answers for every message.",
            "description": _DESCRIPTION,
        },
        # Relative to this document, so that it is right under any stage.
        "servers": [{"url": ".", "description": "where this document comes from"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {_name(status): _problem(status, schemas) for status in PROBLEMS},
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token. Scopes:\n\n"
                    + "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in MEANINGS.items()),
                }
            },
        },
    }


def failures(operation: Operation) -> list[HTTPStatus]:
    """Tell which problems an operation can answer with."""
    found = {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR, *operation.problems}
    if operation.scope:
        found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}
    if operation.path_parameters:
        found |= {HTTPStatus.NOT_FOUND}
    if operation.body:
        found |= {
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        }
    return sorted(found)


def _operation(operation: Operation, schemas: Schemas) -> Json:
    summary, rest = _SUMMARY.split(inspect.getdoc(operation.view) or "", maxsplit=1)
    needed = f"Scope: `{operation.scope}`." if operation.scope else "Open to all."
    described: Json = {
        "operationId": operation.view.__name__,
        "tags": [operation.tag],
        "summary": summary,
        "description": "\n\n".join(filter(None, (rest[:1].upper() + rest[1:], needed))),
        "security": [{"bearer": [operation.scope.value]}] if operation.scope else [],
    }
    if parameters := [*_path_parameters(operation), *schemas.parameters(operation.query)]:
        described["parameters"] = parameters
    if operation.body and operation.body.model_fields:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {"application/json": {"schema": schemas.given(operation.body)}},
        }
    described["responses"] = {
        str(operation.status.value): _answer(operation, schemas),
        **{str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in failures(operation)},
    }
    return described


def _path_parameters(operation: Operation) -> Iterable[Json]:
    for name in operation.path_parameters:
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"id of the {name.removesuffix('_id')}",
            "schema": dict(PATH_PARAMETERS[name].schema),
        }


def _answer(operation: Operation, schemas: Schemas) -> Json:
    description = inspect.getdoc(operation.answer) if operation.answer else operation.status.phrase
    answer: Json = {"description": (description or "").splitlines()[0], "headers": _headers(operation.status)}
    if operation.answer:
        answer["content"] = {"application/json": {"schema": schemas.shown(operation.answer)}}
    elif operation.media_type:
        answer["content"] = {operation.media_type: {"schema": {"type": "object"}}}
    return answer


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
        "headers": _headers(status),
        "content": {"application/problem+json": {"schema": schemas.shown(shape), "example": example}},
    }


def _headers(status: HTTPStatus) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *_HEADERS_OF.get(status, ()))}


def _name(status: HTTPStatus) -> str:
    return status.phrase.title().replace(" ", "")


_DESCRIPTION = """\
Times are RFC 3339: with any offset when they are given, in UTC when they are shown. Unknown fields and parameters are
refused. Lists come in pages: `next` is the `cursor` of the page after, null on the last one; a page may hold fewer
items than `limit`, even none, and still have a next one. Failures are `application/problem+json` (RFC 9457).
"""
