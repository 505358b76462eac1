import json

import pytest

from tests.documented import assert_documented

REQUEST_ID = {"X-Request-Id": "1"}
JSON = REQUEST_ID | {"Content-Type": "application/json"}
GOOD = json.dumps({"items": [], "next": None})


def test_an_answer_as_documented_passes() -> None:
    assert_documented("GET", "/clients", 200, JSON, GOOD)
    assert_documented("DELETE", "/clients/{client_id}", 204, REQUEST_ID, "")
    assert_documented("PUT", "/clients", 405, {}, "")


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (201, JSON, GOOD),
        (200, {"Content-Type": "application/json"}, GOOD),
        (200, JSON | {"Content-Type": "text/plain"}, GOOD),
        (200, JSON, json.dumps({"items": []})),
        (200, JSON, json.dumps({"items": [{}], "next": None})),
        (200, JSON, json.dumps({"items": [], "next": None, "more": 1})),
        (404, JSON, "{}"),
        (422, JSON | {"Content-Type": "application/problem+json"}, "{}"),
    ],
)
def test_another_answer_does_not(status: int, headers: dict[str, str], text: str) -> None:
    with pytest.raises(AssertionError):
        assert_documented("GET", "/clients", status, headers, text)


def test_an_answer_without_a_body_has_none() -> None:
    with pytest.raises(AssertionError):
        assert_documented("DELETE", "/clients/{client_id}", 204, REQUEST_ID, "{}")
