"""What a check may find that is no defect: answers by rules that JSON Schema and OpenAPI have no words for.

Everything else that a check finds is a defect, of the API or of its document.
"""

from collections.abc import Mapping
from typing import Any

FieldRule = tuple[str, str]

# The rules that a body or a query can break although its schema is kept, by the field and the message of the 422.
FIELD_RULES: Mapping[FieldRule, str] = {
    ("cursor", "is not a cursor of this list"): "cursors are signed, each for its list",
    ("client_id", "there is no such client"): "a schema knows no clients",
    ("Idempotency-Key", "was used with another body"): "a schema knows no earlier request",
    # The document has the pattern; the coverage phase of Schemathesis 4.32 sends `0` all the same.
    ("If-Match", 'must be * or a list of entity tags, such as "0a1b2c"'): "the data was not valid",
    ("If-None-Match", 'must be * or a list of entity tags, such as "0a1b2c"'): "the same",
    ("end_at", "must be after start_at"): "a schema compares no two fields",
    ("end_at", "must be at most 30 days after start_at"): "the same",
    ("end_at", "must be in the future"): "a schema knows no clock",
    ("window.from", "Field required"): "a change names half of what is there, which may be nothing",
    ("window.to", "Field required"): "the same",
    ("window", "a window cannot open and close at the same time"): "a schema compares no two fields",
}

# API Gateway routes these to nobody, and answers by itself.
UNROUTED_METHODS = frozenset({"TRACE", "QUERY"})
UNROUTED_ANSWER = {"message": "Missing Authentication Token"}


def is_refused_by_rule(status: int, problem: Any) -> bool:  # noqa: ANN401 - whatever was answered
    """Tell whether valid data was refused by nothing but such rules."""
    if status != 422 or not isinstance(problem, dict) or not problem.get("errors"):
        return False
    return all((error["field"], error["message"]) in FIELD_RULES for error in problem["errors"])


def is_unrouted(method: str, status: int, answer: Any) -> bool:  # noqa: ANN401 - whatever was answered
    """Tell whether the gateway itself refused a method."""
    return method in UNROUTED_METHODS and status == 403 and answer == UNROUTED_ANSWER
