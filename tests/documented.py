"""Whether an answer is one that the OpenAPI document tells of."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator

from chalicelib.api import OPERATIONS
from chalicelib.api.openapi import document

DOCUMENT = document(OPERATIONS)
_HEADERS = DOCUMENT["components"]["headers"]


def assert_documented(method: str, route: str, status: int, headers: Mapping[str, str], text: str) -> None:
    """Hold an answer against the document: its status, headers, media type and body.

    What no operation answers (an unknown path, a wrong method) the document does not tell of.
    """
    operation = DOCUMENT["paths"].get(route, {}).get(method.lower())
    if operation is None:
        return
    assert str(status) in operation["responses"], f"{method} {route} answered {status}, which is not documented"
    response = _followed(operation["responses"][str(status)])
    missing = {name for name in response["headers"] if _HEADERS[name].get("required")} - set(headers)
    assert not missing, f"{method} {route} {status} lacks {missing}"
    if "content" not in response:
        assert text == ""
        return
    given = headers["Content-Type"]
    media_type = given.partition(";")[0]
    assert media_type in response["content"]
    content = response["content"][media_type]
    if content["schema"] == {"type": "string"}:
        return
    assert given == media_type
    errors = [error.message for error in _validator(json.dumps(content["schema"])).iter_errors(json.loads(text))]
    assert errors == [], f"{method} {route} {status}: {text[:500]}"


def _followed(response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in response:
        return response
    found: dict[str, Any] = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return found


@cache
def _validator(schema: str) -> OAS31Validator:
    return OAS31Validator(json.loads(schema) | {"components": DOCUMENT["components"]})
