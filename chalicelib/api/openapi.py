"""The OpenAPI 3.1 document: what the operations declare, in the words of that standard."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib import __version__
from chalicelib.api.openapi_answers import answers_of, shared_answers, shared_headers
from chalicelib.api.openapi_schemas import Schemas
from chalicelib.api.parameters import PATH_PARAMETERS
from chalicelib.api.preconditions import TAGS_PATTERN
from chalicelib.api.problem_schemas import InvalidResponse, ProblemResponse
from chalicelib.api.resource import Operation
from chalicelib.api.scopes import MEANINGS

Json = dict[str, Any]

TAGS = {
    "clients": "Whom messages can be sent to: one client for each phone.",
    "suppressions": "Phones that no message goes to: who opted out.",
    "imports": "Clients and suppressions from CSV files: uploaded by a signed form, then worked off row by row.",
    "mailings": "What is sent to whom and when, and control over it.",
    "messages": "One message for each client of a mailing: where it is, and why.",
    "statistics": "Counts over all mailings, and everything that is counted of one.",
    "dead letters": "Tickets that failed by a fault of ours, and their way back.",
    "audit": "Who changed or sent what, when, from what to what.",
    "service": "The service itself.",
}

_DESCRIPTION = """\
Times are RFC 3339: with any offset when they are given, in UTC when they are shown. Unknown fields and parameters are
refused. Lists come in pages: `next` is the `cursor` of the page after, null on the last one; a page may hold fewer
items than `limit`, even none, and still have a next one. Failures are `application/problem+json` (RFC 9457). What
answers GET answers HEAD. An `X-Request-Id` that a request bears is that of its answer and of our log.
"""

_SUMMARY = re.compile(r"[.;:](?:\s+|$)")  # where the first thing that a docstring says ends
_TAGS_GIVEN = {"type": "string", "pattern": TAGS_PATTERN, "examples": ['"0a1b2c"']}
_HEADERS: Mapping[str, Json] = {
    "Idempotency-Key": {
        "description": "for a request that may have to be sent again: with the same key and body it is answered again, "
        "and done once",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "If-Match": {"description": "entity tags: do it only if it is in this state still", "schema": _TAGS_GIVEN},
    "If-None-Match": {"description": "entity tags: show it only if it has changed since", "schema": _TAGS_GIVEN},
}


def document(operations: Sequence[Operation], issuer_url: str | None = None) -> Json:
    """Describe the API; the order of operations is that in which they are declared."""
    schemas = Schemas(operations, (ProblemResponse, InvalidResponse))
    schemes = _security_schemes(issuer_url)
    paths: dict[str, Json] = {}
    for operation in operations:
        needed = [{scheme: [operation.scope.value]} for scheme in schemes] if operation.scope else []
        described = _operation(operation, schemas) | {"security": needed}
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
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
            "responses": shared_answers(schemas),
            "headers": shared_headers(),
            "securitySchemes": schemes,
        },
    }


def _security_schemes(issuer_url: str | None) -> Json:
    scopes = "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in MEANINGS.items())
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": f"An access token. Scopes:\n\n{scopes}",
    }
    if issuer_url is None:
        return {"bearer": bearer}
    discovery = f"{issuer_url.rstrip('/')}/.well-known/openid-configuration"
    return {"bearer": bearer, "issuer": {"type": "openIdConnect", "openIdConnectUrl": discovery}}


def _operation(operation: Operation, schemas: Schemas) -> Json:
    summary, rest = _SUMMARY.split(inspect.getdoc(operation.view) or "", maxsplit=1)
    needed = f"Scope: `{operation.scope}`." if operation.scope else "Open to all."
    described: Json = {
        "operationId": operation.view.__name__,
        "tags": [operation.tag],
        "summary": summary,
        "description": "\n\n".join(filter(None, (rest[:1].upper() + rest[1:], needed))),
    }
    parameters = [*_path_parameters(operation), *schemas.parameters(operation.query), *_header_parameters(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.body and operation.body.model_fields:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {"application/json": {"schema": schemas.given(operation.body)}},
        }
    return described | {"responses": answers_of(operation, schemas)}


def _path_parameters(operation: Operation) -> Iterator[Json]:
    for name in operation.path_parameters:
        what = f"id of the {name.removesuffix('_id')}" if name.endswith("_id") else f"the {name}"
        schema = dict(PATH_PARAMETERS[name].schema)
        yield {"name": name, "in": "path", "required": True, "description": what, "schema": schema}


def _header_parameters(operation: Operation) -> Iterator[Json]:
    heeded = {
        "Idempotency-Key": operation.keyed,
        "If-Match": operation.conditional,
        "If-None-Match": operation.tagged and operation.method == "GET",
    }
    for name, is_heeded in heeded.items():
        if is_heeded:
            yield {"name": name, "in": "header", "required": False, **_HEADERS[name]}
